//! What the sender is warned of, as headers. The API server's bound: a head with 40,000 of them is read by no client, and
//! the map of headers panics at 32,768.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{HeaderValue, Response};

/// Letters of all warnings together.
const ALL: usize = 4 << 10;
/// Letters of each, where they are too many.
const EACH: usize = 256;

pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    let letters: usize = warnings.iter().map(|warning| warning.chars().count()).sum();
    let is_cut = letters > ALL;
    let (mut written, mut said) = (0, BTreeSet::new());
    for warning in warnings {
        if written >= ALL {
            return;
        }
        if !said.insert(warning) {
            continue;
        }
        let shown: String = if is_cut {
            warning.chars().take(EACH).collect()
        } else {
            warning.clone()
        };
        written += shown.chars().count();
        let words = shown.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{words}\"")) {
            response.headers_mut().append("warning", value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(warnings: &[String]) -> Vec<String> {
        let mut response = Response::default();
        warn(&mut response, warnings);
        let values = response.headers().get_all("warning").iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_few_are_whole_and_many_are_cut() {
        let long = "x".repeat(1_000);
        assert_eq!(
            warned(&[long.clone(), long.clone(), "say \"a\"".to_owned()]),
            [format!("299 - \"{long}\""), r#"299 - "say \"a\"""#.to_owned()]
        );
        let many: Vec<String> = (0..40_000)
            .map(|n| format!("unknown field \"spec.f{n}\""))
            .collect();
        // A real one said 153 of these, of which a few were shorter for their order.
        let said = warned(&many);
        assert!((140..200).contains(&said.len()), "{}", said.len());
        let five: Vec<String> = (0..5).map(|n| format!("{n}{long}")).collect();
        assert_eq!(warned(&five)[4].len(), EACH + "299 - \"\"".len());
    }
}
