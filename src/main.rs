use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("crds") if quartermaster::command::crds::print().is_ok() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
