//! How many writes a client may make in a minute. Rejected calls and those that change nothing count too.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::contract::Contract;
use super::refusal::Refusal;

/// The calls of a minute, by method and client.
#[derive(Debug, Default)]
pub(super) struct Budget(HashMap<(String, String), Vec<Instant>>);

const MINUTE: Duration = Duration::from_secs(60);

impl Budget {
    /// Counts one call of `method` by `who` (its device, its address, or on a loopback its connection).
    pub(super) fn spend(
        &mut self,
        contract: Contract,
        method: &str,
        who: &str,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(limit) = contract.write_budget() else {
            return Ok(());
        };
        // 2026.7.35 counts all limited methods together.
        let bucket = match contract {
            Contract::V2026_9_6 => method,
            Contract::V2026_7_35 | Contract::V2026_2_9 => "",
        };
        let calls = self.0.entry((bucket.to_owned(), who.to_owned())).or_default();
        // A window begins with its first call and ends a minute later, whatever came in between.
        if calls
            .first()
            .is_some_and(|first| now.duration_since(*first) >= MINUTE)
        {
            calls.clear();
        }
        if calls.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            calls.push(now);
            return Ok(());
        }
        let spent = calls
            .first()
            .map_or(Duration::ZERO, |first| now.duration_since(*first));
        let left = MINUTE.saturating_sub(spent);
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Err(Refusal::unavailable(format!(
            "rate limit exceeded for {method}; retry after {}s",
            left_ms.div_ceil(1000)
        ))
        .retry(Some(left_ms))
        .details(json!({ "method": method, "limit": format!("{limit} per 60s") })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn thirty_a_minute_for_each_method_and_client() {
        let mut budget = Budget::default();
        let mut spend = |method, who| budget.spend(Contract::V2026_9_6, method, who, Instant::now());
        for _ in 0..30 {
            spend("config.patch", "a").unwrap();
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        let refusal = spend("config.patch", "a").unwrap_err();
        assert_eq!(
            refusal.error(),
            json!({"code": "UNAVAILABLE", "message": "rate limit exceeded for config.patch; retry after 58s",
                "details": {"limit": "30 per 60s", "method": "config.patch"}, "retryable": true, "retryAfterMs": 58000})
        );
        spend("config.patch", "b").unwrap();
        spend("config.apply", "a").unwrap();
        tokio::time::advance(Duration::from_secs(58)).await;
        spend("config.patch", "a").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn older_gateways_have_another_budget_or_none() {
        let mut budget = Budget::default();
        for method in ["config.patch", "config.apply", "config.patch"] {
            budget
                .spend(Contract::V2026_7_35, method, "a", Instant::now())
                .unwrap();
        }
        let refusal = budget
            .spend(Contract::V2026_7_35, "config.apply", "a", Instant::now())
            .unwrap_err();
        assert_eq!(
            refusal.error()["details"],
            json!({"method": "config.apply", "limit": "3 per 60s"})
        );
        for _ in 0..100 {
            budget
                .spend(Contract::V2026_2_9, "config.patch", "b", Instant::now())
                .unwrap();
        }
    }
}
