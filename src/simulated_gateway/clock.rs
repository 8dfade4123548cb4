//! Time and chance, both the test's to decide: milliseconds since 1970 are a fixed start plus tokio's clock, and every
//! id comes from one seeded generator.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
    epoch_ms: i64,
}

impl Clock {
    pub(super) fn starting_at(epoch_ms: i64) -> Self {
        Self {
            started: Instant::now(),
            epoch_ms,
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.epoch_ms + i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

#[derive(Debug)]
pub(super) struct Dice(SmallRng);

impl Dice {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// A UUID of version 4.
    pub(super) fn uuid(&mut self) -> String {
        let bits: u128 = self.0.random();
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{bits:032x}");
        let (a, rest) = hex.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        format!("{a}-{b}-{c}-{d}-{e}")
    }

    /// 32 random bytes in 43 characters.
    pub(super) fn token(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes())
    }

    pub(super) fn hex32(&mut self) -> String {
        format!("{:032x}", self.0.random::<u128>())
    }

    /// Another generator, for when this one is borrowed.
    pub(super) fn fork(&mut self) -> Self {
        Self::seeded(self.0.random())
    }

    pub(super) fn bytes(&mut self) -> [u8; 32] {
        self.0.random()
    }
}

/// `2026-11-21T12:56:53.165Z`, as the gateway writes times into its configuration.
pub(super) fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_every_id() {
        let (mut one, mut other) = (Dice::seeded(7), Dice::seeded(7));
        let id = one.uuid();
        assert_eq!(id, other.uuid());
        assert_ne!(id, one.uuid());
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert_eq!(one.token().len(), 43);
    }

    #[test]
    fn times_are_written_with_milliseconds() {
        assert_eq!(iso(1_795_166_370_683), "2026-11-20T09:19:30.683Z");
    }
}
