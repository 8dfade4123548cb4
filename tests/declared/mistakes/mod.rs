//! What is wrong although every schema lets it pass. Each ends in a condition whose message names what is wrong and says what to
//! do, waits or calls for a person as `docs/reasons.md` says, and heals once it is mended: nobody restarts anything. And it is
//! nobody else's trouble: those who were Ready stay so.

mod agents;
mod gateways;
mod harmless;
mod mistake;
mod play;
mod templates;

pub use harmless::play as play_harmless;
pub use play::{Bed, play};

use mistake::Mistake;

fn mistakes() -> Vec<Mistake> {
    [agents::mistakes(), templates::mistakes(), gateways::mistakes()].concat()
}
