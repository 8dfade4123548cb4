use std::path::Path;
use std::process::ExitCode;

use quartermaster::command::crds;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["crds"] => crds::print(),
        ["crds", "--write", folder] => crds::write(Path::new(folder)),
        _ => return ExitCode::from(2),
    };
    if done.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
