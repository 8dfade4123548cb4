//! Cases as they are written down: a name, then requests. `cases/README.md` says how.

use std::fs;
use std::path::Path;

#[derive(Debug, Clone)]
pub struct Case {
    /// Of which file it is.
    pub theme: String,
    pub name: String,
    pub steps: Vec<Step>,
    /// Words that stand for others, such as `$path`.
    pub words: Vec<(String, String)>,
}

#[derive(Debug, Clone, Default)]
pub struct Step {
    /// As written: `GET`, or `MERGE` for a `PATCH` of that type, or `UNTIL 404`.
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub save: Option<String>,
}

const METHODS: [&str; 12] = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "MERGE",
    "JSONPATCH",
    "STRATEGIC",
    "APPLY",
    "UNTIL",
];

/// The words that stand for others everywhere.
const WORDS: [(&str, &str); 7] = [
    ("$core", "/api/v1/namespaces/$ns"),
    ("$qm", "/apis/quartermaster.dev/v1alpha1/namespaces/$ns"),
    ("$rbac", "/apis/rbac.authorization.k8s.io/v1"),
    ("$Agent", "apiVersion: quartermaster.dev/v1alpha1, kind: Agent"),
    (
        "$Gateway",
        "apiVersion: quartermaster.dev/v1alpha1, kind: Gateway",
    ),
    ("$Board", "apiVersion: quartermaster.dev/v1alpha1, kind: Board"),
    (
        "$TemplateSync",
        "apiVersion: quartermaster.dev/v1alpha1, kind: TemplateSync",
    ),
];

/// All that are written down, those of `each.txt` once for each kind.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/kube_conformance/cases");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    let mut kinds = Vec::new();
    for file in files {
        let theme = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let (head, read) = read(&theme, &text);
        if theme != "each" {
            cases.extend(read);
            continue;
        }
        kinds.extend(
            head.iter()
                .filter_map(|line| line.strip_prefix("KIND "))
                .map(kind),
        );
        for case in read {
            for (kind, words) in &kinds {
                let mut case = case.clone();
                case.name = format!("{} ({kind})", case.name);
                case.words.splice(0..0, words.clone());
                cases.push(case);
            }
        }
    }
    cases
}

/// `configmaps | $core/configmaps | apiVersion: v1, kind: ConfigMap | data: {a: b} | data: {a: c}`
fn kind(line: &str) -> (String, Vec<(String, String)>) {
    let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let words = ["$path", "$head", "$one", "$two"];
    let words = words
        .iter()
        .zip(&parts[1..])
        .map(|(word, part)| ((*word).to_owned(), (*part).to_owned()))
        .collect();
    (parts[0].to_owned(), words)
}

/// What stands before the first case, and the cases.
fn read(theme: &str, text: &str) -> (Vec<String>, Vec<Case>) {
    let mut head = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case {
                theme: theme.to_owned(),
                name: name.to_owned(),
                steps: Vec::new(),
                words: WORDS
                    .iter()
                    .map(|(word, text)| ((*word).to_owned(), (*text).to_owned()))
                    .collect(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            head.push(line.to_owned());
            continue;
        };
        if let Some(step) = request(line) {
            case.steps.push(step);
            continue;
        }
        let step = case.steps.last_mut().expect("a request comes before its body");
        if let Some(header) = line.strip_prefix("> ") {
            let (name, value) = header.split_once(": ").expect("a header has a value");
            step.headers.push((name.to_owned(), value.to_owned()));
        } else if let Some(name) = line.strip_prefix("save ") {
            step.save = Some(name.to_owned());
        } else {
            step.body = Some(match step.body.take() {
                Some(body) => format!("{body}\n{line}"),
                None => line.to_owned(),
            });
        }
    }
    (head, cases)
}

fn request(line: &str) -> Option<Step> {
    let (method, path) = line.rsplit_once(' ')?;
    let first = method.split(' ').next()?;
    let is_request = METHODS.contains(&first) && (path.starts_with('/') || path.starts_with('$'));
    is_request.then(|| Step {
        method: method.to_owned(),
        path: path.to_owned(),
        ..Step::default()
    })
}
