//! What an API server says against a write, one line for each of its causes.

use crate::cluster::Error;

/// Goes on behind the object's name.
pub(super) fn told(error: &Error) -> String {
    let Error::Refused(status) = error else {
        return format!("failed: {error}");
    };
    let causes = status.details.as_ref().map(|details| details.causes.as_slice());
    let causes = causes.unwrap_or_default();
    if causes.is_empty() {
        return format!("is refused: {}", status.message);
    }
    let conflict = causes.iter().all(|cause| cause.reason == "FieldManagerConflict");
    let head = if conflict {
        "is refused: others have set these fields (--force-conflicts takes them over)"
    } else {
        "is refused"
    };
    let lines = causes.iter().map(|cause| match cause.field.as_str() {
        // Of the object as a whole; Go's word for nothing comes with some.
        "" | "<nil>" => format!("\n  {}", cause.message),
        field => format!("\n  {field}: {}", cause.message),
    });
    format!("{head}:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(reason: &str, causes: &serde_json::Value) -> Error {
        let status = json!({
            "status": "Failure", "message": "the whole of it", "reason": reason, "code": 422,
            "details": { "name": "x", "causes": causes },
        });
        Error::Refused(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn each_cause_has_its_line() {
        let causes = json!([
            { "reason": "FieldValueRequired", "message": "Required value", "field": "spec.url" },
            { "reason": "FieldValueInvalid", "message": "Invalid value: not so", "field": "" },
        ]);
        assert_eq!(
            told(&refused("Invalid", &causes)),
            "is refused:\n  spec.url: Required value\n  Invalid value: not so"
        );
        assert_eq!(
            told(&refused("NotFound", &json!([]))),
            "is refused: the whole of it"
        );
    }

    #[test]
    fn a_conflict_names_the_way_out() {
        let causes = json!([{ "reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\"", "field": ".spec.url" }]);
        assert_eq!(
            told(&refused("Conflict", &causes)),
            "is refused: others have set these fields (--force-conflicts takes them over):\n  .spec.url: conflict with \"kubectl-edit\""
        );
        assert_eq!(
            told(&Error::TimedOut),
            "failed: the API server did not answer within 10 s"
        );
    }
}
