//! Log lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// `level` is a level of our own lines (libraries then say warnings only), or directives such as
/// `info,quartermaster=debug`. `stderr` opens standard error for one line.
pub fn start(
    format: Format,
    level: &str,
    stderr: impl for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
) -> Result<(), String> {
    let directives = if level.contains([',', '=']) {
        level.to_owned()
    } else {
        format!("warn,quartermaster={level}")
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| format!("--log-level {level:?}: {error}"))?;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && !no_color)
        .with_writer(stderr);
    let started = match format {
        Format::Text => builder.with_target(false).try_init(),
        Format::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    };
    started.map_err(|error| format!("the log was started twice: {error}"))
}
