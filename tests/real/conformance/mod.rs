//! One suite for what the operator relies on in a gateway, run unchanged against real gateways of three versions
//! and against the simulated gateway in each of its three contracts. A difference is a defect of the simulation.
//!
//! A case is a function that speaks to a [`Subject`] and returns what it has [`Seen`]: a few lines of text without
//! anything that changes from run to run. What must be seen is data, in `said/`, recorded from real gateways and
//! reviewed; see `said.rs`. A case that differs, panics or does not end is reported, and the others go on.
//!
//! Many cases share one gateway, in the order of the tables below, each with agent ids of its own: a start costs up to half
//! a minute. The first ones see it as it is when new; those that restart it or use up its write budget come last.

mod agents;
mod chat;
mod client;
mod config;
mod cron;
mod device;
mod devices;
mod door;
mod events;
mod files;
mod frames;
mod handshake;
mod heartbeats;
mod http;
mod killed;
mod limits;
mod lockout;
mod pairing;
mod restarts;
mod roster;
mod said;
mod scopes;
mod seen;
mod sessions;
mod subject;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::FutureExt;

use crate::bed::{across_network, evidence, install_gateway};
use seen::Seen;
use subject::{Contract, Subject, V2026_2_9, V2026_7_35, V2026_9_6};

struct Case {
    theme: &'static str,
    name: &'static str,
    contracts: &'static [Contract],
    run: for<'a> fn(&'a mut Subject) -> Pin<Box<dyn Future<Output = Seen> + 'a>>,
}

const ALL: &[Contract] = &Contract::ALL;
/// Protocol 4.
const NEWER: &[Contract] = &[V2026_9_6, V2026_7_35];

const NEWEST: &[Contract] = &[V2026_9_6];

macro_rules! cases {
    ($($contracts:ident $theme:ident::$name:ident;)*) => {
        &[$(Case {
            theme: stringify!($theme),
            name: stringify!($name),
            contracts: $contracts,
            run: |subject| Box::pin($theme::$name(subject)),
        }),*]
    };
}

/// On the gateway's own loopback.
const ONE_GATEWAY: &[Case] = cases! {
    ALL agents::the_list_of_a_new_gateway;
    ALL files::a_new_workspace_is_seeded;
    ALL handshake::the_challenge_comes_first;
    ALL handshake::hello_has_the_shape_we_read;
    ALL handshake::hello_advertises_what_the_gateway_can_do;
    ALL handshake::hello_advertises_its_events;
    ALL handshake::a_wrong_token_is_refused;
    ALL handshake::an_empty_token_is_refused;
    ALL handshake::no_token_is_refused;
    ALL handshake::no_auth_at_all_is_refused;
    ALL handshake::the_token_may_come_as_a_password;
    ALL handshake::wrong_tokens_do_not_lock_loopback_out;
    ALL handshake::a_protocol_range_above_is_refused;
    ALL handshake::a_protocol_range_below_is_refused;
    ALL handshake::protocol_3_alone;
    ALL handshake::protocol_4_alone;
    ALL handshake::a_wide_range_is_answered_with_the_gateways_own;
    ALL handshake::an_unknown_property_is_refused;
    ALL handshake::an_unknown_property_of_the_client_is_refused;
    ALL handshake::an_unknown_property_of_auth_is_refused;
    ALL handshake::an_unknown_client_id_is_refused;
    ALL handshake::an_unknown_client_mode_is_refused;
    ALL handshake::a_client_without_a_version_is_refused;
    ALL handshake::an_unknown_role_is_refused;
    ALL handshake::no_role_means_operator;
    ALL handshake::the_control_ui_needs_more_than_a_token;
    ALL handshake::the_control_ui_of_this_machine_needs_a_device;
    ALL handshake::a_proxys_header_is_refused_before_the_upgrade;
    ALL handshake::a_foreign_host_header_is_let_in;
    ALL handshake::the_first_frame_must_be_connect;
    ALL handshake::text_before_connect_that_is_no_json;
    ALL handshake::a_frame_before_connect_that_is_none;
    ALL handshake::a_binary_connect;
    ALL handshake::connect_is_said_once;
    ALL handshake::a_big_frame_before_connect_closes;
    ALL scopes::pairs_that_keep_their_scopes;
    ALL scopes::pairs_that_lose_their_scopes;
    ALL scopes::an_origin_takes_the_scopes_away;
    ALL scopes::with_no_scopes;
    ALL scopes::with_scopes_left_out;
    ALL scopes::with_read_alone;
    ALL scopes::with_write_alone;
    ALL scopes::with_admin_alone;
    ALL scopes::with_pairing_alone;
    ALL scopes::with_a_scope_that_there_is_not;
    ALL devices::version_1_of_the_signature;
    ALL devices::version_2_of_the_signature;
    ALL devices::version_3_of_the_signature;
    ALL devices::a_signature_of_something_else;
    ALL devices::a_signature_that_is_none;
    ALL devices::another_nonce;
    ALL devices::no_nonce;
    ALL devices::signed_too_long_ago;
    ALL devices::an_id_that_is_not_the_keys;
    ALL devices::a_public_key_that_is_none;
    ALL devices::a_block_without_a_signature;
    ALL devices::an_unknown_property_of_the_block;
    ALL devices::loopback_needs_no_approval;
    ALL frames::an_unknown_method;
    ALL frames::an_unknown_property_of_the_frame;
    ALL frames::an_id_that_is_a_number;
    ALL frames::an_empty_id;
    ALL frames::no_id;
    ALL frames::no_method;
    ALL frames::an_empty_method;
    ALL frames::an_unknown_type;
    ALL frames::text_that_is_no_json;
    ALL frames::json_that_is_a_list;
    ALL frames::json_that_is_null;
    ALL frames::params_may_be_absent;
    ALL frames::params_that_are_null;
    ALL frames::params_that_are_a_list;
    ALL frames::a_param_that_is_not_known;
    ALL frames::a_binary_request_is_served;
    ALL frames::an_id_used_twice_is_answered_twice;
    ALL http::healthz;
    ALL http::readyz;
    ALL http::startupz;
    ALL http::a_path_that_there_is_not;
    ALL http::a_plain_get_of_the_root;
    ALL agents::an_agent_lives;
    ALL agents::a_file_right_after_create;
    ALL agents::an_id_is_made_of_the_name;
    ALL agents::names_that_cannot_be;
    ALL agents::openclaw_as_a_name;
    ALL agents::params_that_create_refuses;
    ALL agents::a_workspace_may_be_left_out;
    ALL agents::a_model_at_create;
    ALL agents::updates_that_are_refused;
    ALL agents::deletes_that_are_refused;
    ALL agents::an_id_comes_back_with_its_files;
    NEWER agents::three_at_once;
    ALL agents::its_identity;
    ALL files::names_that_can_be_written;
    ALL files::names_that_can_be_read;
    ALL files::names_that_are_listed;
    ALL files::what_is_written_is_read_back;
    ALL files::a_hash_is_the_sha256_of_the_bytes;
    ALL files::a_write_may_expect_a_hash;
    ALL files::a_file_that_is_not_there;
    ALL files::files_of_nobody;
    ALL files::an_agent_id_in_another_spelling;
    ALL files::params_that_files_refuse;
    ALL files::a_big_file;
    NEWER files::a_file_that_is_too_big_to_be_read;
    ALL files::a_link_is_refused;
    ALL files::many_at_once;
    NEWER files::the_workspace_can_be_looked_at;
    ALL config::it_has_the_keys_we_read;
    ALL config::the_hash_is_the_same_while_nothing_changes;
    ALL config::what_is_written_is_applied;
    ALL config::secrets_are_redacted;
    ALL config::patches_that_are_none;
    ALL config::patches_that_the_schema_refuses;
    ALL config::issues_in_words;
    ALL config::a_patch_of_nothing;
    ALL sessions::a_reset_makes_a_session;
    ALL sessions::resets_that_are_refused;
    ALL sessions::a_session_of_nobody;
    ALL sessions::deletes;
    ALL sessions::a_label;
    ALL sessions::the_shape_of_the_list;
    ALL chat::a_message_is_admitted_once;
    ALL chat::the_same_key_while_it_runs;
    ALL chat::the_same_key_for_another_text;
    ALL chat::history_names_the_key;
    ALL chat::history_of_nothing;
    ALL chat::sends_that_are_refused;
    ALL chat::an_abort_of_nothing;
    ALL chat::a_wake;
    NEWER cron::a_declared_job_is_added_once;
    NEWER cron::jobs_that_the_gateway_keeps;
    ALL events::what_time_brings;
    NEWER events::a_patch_is_told;
    ALL events::a_file_is_not_told;
    NEWER events::a_new_agent_is_told;
    NEWER events::a_heartbeat_is_told_as_a_job;
    ALL limits::a_frame_that_is_too_big;
    ALL limits::too_many_at_once;
    ALL limits::the_write_budget;
    ALL limits::whole_documents;
    NEWER limits::the_schema_can_be_asked;
    ALL restarts::a_change_of_the_log_level;
    ALL restarts::after_agents_create;
};

/// On a new one, since the first entry of a roster and the first heartbeat can be written only once.
const ITS_ROSTER: &[Case] = cases! {
    ALL roster::a_first_entry_needs_ownership;
    ALL roster::the_other_container_is_refused;
    ALL roster::the_first_entry_and_main;
    ALL roster::a_patched_agent_is_there_at_once;
    NEWER roster::objects_are_merged_and_null_deletes;
    NEWER roster::lists_inside_an_entry;
    ALL roster::a_shorter_list;
    ALL roster::an_entry_cannot_be_taken_out_by_config;
    ALL roster::one_bad_entry_spoils_the_patch;
    ALL roster::twenty_in_one_patch;
    ALL roster::a_heartbeat_key_that_there_is_not;
    ALL roster::heartbeat_keys_of_this_version;
    ALL roster::entry_keys_of_this_version;
    ALL roster::bindings_are_a_list;
    ALL roster::deleting_takes_the_bindings_along;
    ALL roster::a_write_that_halves_the_file;
    ALL heartbeats::the_first_block_and_the_others;
    ALL heartbeats::the_default_of_all;
    NEWEST heartbeats::no_agent_is_named;
    ALL heartbeats::the_switch_for_all;
    NEWER restarts::a_restart_on_request;
    ALL restarts::a_change_of_env_restarts;
    ALL restarts::a_new_token;
};

/// On a new one again: each of them kills it.
const KILLED: &[Case] = cases! {
    ALL killed::a_first_message_that_was_started;
    ALL killed::a_further_message_that_was_started;
    ALL killed::a_message_whose_turn_is_over;
    ALL killed::what_was_answered;
    ALL killed::a_write_under_way;
};

/// As another machine sees it.
const ACROSS_A_NETWORK: &[Case] = cases! {
    ALL pairing::a_remote_token_alone;
    ALL pairing::a_remote_command_line;
    ALL pairing::a_remote_wrong_token;
    ALL pairing::an_unknown_device_waits;
    ALL pairing::other_scopes_are_another_request;
    ALL pairing::it_is_approved;
    ALL pairing::approvals_that_are_refused;
    ALL pairing::it_is_rejected;
    ALL pairing::a_device_token_is_enough;
    ALL pairing::a_device_token_is_that_devices_own;
    ALL pairing::what_a_device_may_change;
    ALL pairing::its_token_is_rotated;
    ALL pairing::its_token_is_revoked;
    ALL pairing::it_is_removed;
    ALL lockout::an_address_is_locked_out;
};

/// Cases that share one gateway, and what they are called. Each group is a test of its own, so that they run at once.
type Group = (&'static str, &'static [Case]);

const ONE: Group = ("one gateway", ONE_GATEWAY);
const ROSTER: Group = ("its roster", ITS_ROSTER);
const DEATHS: Group = ("killed", KILLED);

/// How long a case may take before it counts as hung. Generous: it only decides how long a hanging suite takes.
const LONGEST: Duration = Duration::from_secs(300);

/// Gives the cases that differ, in words.
///
/// While one is written: CONFORMANCE_ONLY=a part of its name or group, CONFORMANCE_TIMES=1 says how long each took.
fn run(mut subject: Subject, group: &str, cases: &[Case]) -> Vec<String> {
    let kind = if subject.is_real() { "real" } else { "simulated" };
    let whose = format!("{kind} {}", subject.contract.version());
    let what = format!("{whose}, {group}");
    let record = std::env::var_os("CONFORMANCE_RECORD").is_some() && subject.is_real();
    let only = std::env::var("CONFORMANCE_ONLY").unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut recorded: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut passed = 0;
    // A group without a case would be green and prove nothing; one that was asked for by a name may miss it here.
    assert!(
        !only.is_empty()
            || cases
                .iter()
                .any(|case| case.contracts.contains(&subject.contract)),
        "no case of this group is for {whose}"
    );
    let start = Instant::now();
    for case in cases {
        let name = format!("{}::{}", case.theme, case.name);
        if !case.contracts.contains(&subject.contract) || !format!("{what}, {name}").contains(&only) {
            continue;
        }
        let since = Instant::now();
        let running = within_reason((case.run)(&mut subject));
        let outcome = runtime.block_on(AssertUnwindSafe(running).catch_unwind());
        let wanted = said::expected(case.theme)
            .remove(case.name)
            .and_then(|mut by_version| by_version.remove(&subject.contract))
            .unwrap_or_default();
        match outcome {
            Ok(Some(seen)) if record => {
                recorded
                    .entry(case.theme)
                    .or_default()
                    .push((case.name.to_owned(), seen.text().to_owned()));
                passed += 1;
            }
            Ok(Some(seen)) if seen.text() == wanted && !wanted.is_empty() => passed += 1,
            Ok(Some(seen)) => failures.push(format!("{name}\n{}", difference(&wanted, seen.text()))),
            Ok(None) => failures.push(format!("{name}\n  no end in {} s", LONGEST.as_secs())),
            Err(panic) => {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("a panic without words");
                failures.push(format!("{name}\n  {words}"));
            }
        }
        if std::env::var_os("CONFORMANCE_TIMES").is_some() {
            evidence::say(&format!("{what} {name}: {:.1} s", since.elapsed().as_secs_f32()));
        }
    }
    for (theme, seen) in &recorded {
        said::record(theme, subject.contract, seen);
    }
    evidence::say(&format!(
        "{what}: {passed} cases as expected, {} not, in {} s",
        failures.len() as u64,
        start.elapsed().as_secs()
    ));
    evidence::record(
        "conformance",
        &format!("{whose}: cases as recorded"),
        passed,
        group,
    );
    evidence::record(
        "conformance",
        &format!("{whose}: cases that differ"),
        failures.len() as u64,
        "",
    );
    if !failures.is_empty() {
        evidence::say(&format!("{what} wrote\n  | {}", subject.last_words()));
    }
    failures
        .into_iter()
        .map(|failure| format!("{what}, {failure}"))
        .collect()
}

fn all_as_expected(differing: &[String]) {
    assert!(
        differing.is_empty(),
        "{} cases differ from what the real gateways said\n\n{}",
        differing.len(),
        differing.join("\n")
    );
}

async fn within_reason<T>(running: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(LONGEST, running).await.ok()
}

/// The lines of the two that are not in the other.
fn difference(wanted: &str, seen: &str) -> String {
    if wanted.is_empty() {
        return format!("  nothing is recorded for this version in said/; it said\n{seen}");
    }
    let only_in = |one: &str, other: &str, mark: &str| {
        one.lines()
            .filter(|line| !other.lines().any(|its| its == *line))
            .map(|line| format!("  {mark} {line}\n"))
            .collect::<String>()
    };
    let differing = only_in(wanted, seen, "expected") + &only_in(seen, wanted, "got     ");
    if differing.is_empty() {
        return "  the same lines in another order or number".to_owned();
    }
    differing
}

fn real(contract: Contract, (what, cases): Group) {
    let subject = real!(Subject::real(contract, None));
    all_as_expected(&run(subject, what, cases));
}

fn simulated(contract: Contract, (what, cases): Group) {
    let subject = Subject::simulated(contract, None);
    all_as_expected(&run(subject, what, cases));
}

#[test]
fn real_2026_9_6() {
    real(V2026_9_6, ONE);
}

#[test]
fn real_2026_9_6_roster() {
    real(V2026_9_6, ROSTER);
}

#[test]
fn real_2026_7_35() {
    real(V2026_7_35, ONE);
}

#[test]
fn real_2026_7_35_roster() {
    real(V2026_7_35, ROSTER);
}

#[test]
fn real_2026_2_9() {
    real(V2026_2_9, ONE);
}

#[test]
fn real_2026_2_9_roster() {
    real(V2026_2_9, ROSTER);
}

#[test]
fn real_2026_2_9_killed() {
    real(V2026_2_9, DEATHS);
}

#[test]
fn simulated_2026_9_6() {
    simulated(V2026_9_6, ONE);
}

#[test]
fn simulated_2026_9_6_roster() {
    simulated(V2026_9_6, ROSTER);
}

#[test]
fn simulated_2026_7_35() {
    simulated(V2026_7_35, ONE);
}

#[test]
fn simulated_2026_7_35_roster() {
    simulated(V2026_7_35, ROSTER);
}

#[test]
fn simulated_2026_2_9() {
    simulated(V2026_2_9, ONE);
}

#[test]
fn simulated_2026_2_9_roster() {
    simulated(V2026_2_9, ROSTER);
}

#[test]
fn simulated_2026_2_9_killed() {
    simulated(V2026_2_9, DEATHS);
}

fn simulated_across_a_network(contract: Contract, test: &'static str) {
    door::stand_there_if_asked();
    let Some(network) = real!(across_network(test, || Ok(()))) else {
        return;
    };
    let subject = Subject::simulated(contract, Some((network.far(), test)));
    all_as_expected(&run(subject, "across a network", ACROSS_A_NETWORK));
}

#[test]
fn simulated_2026_9_6_across_a_network() {
    simulated_across_a_network(V2026_9_6, test_name!());
}

#[test]
fn simulated_2026_7_35_across_a_network() {
    simulated_across_a_network(V2026_7_35, test_name!());
}

#[test]
fn simulated_2026_2_9_across_a_network() {
    simulated_across_a_network(V2026_2_9, test_name!());
}

fn real_across_a_network(contract: Contract, test: &'static str) {
    door::stand_there_if_asked();
    let prepare = || install_gateway(contract.version()).map(drop);
    let Some(network) = real!(across_network(test, prepare)) else {
        return;
    };
    let subject = real!(Subject::real(contract, Some((network.far(), test))));
    all_as_expected(&run(subject, "across a network", ACROSS_A_NETWORK));
}

#[test]
fn real_2026_9_6_across_a_network() {
    real_across_a_network(V2026_9_6, test_name!());
}

#[test]
fn real_2026_7_35_across_a_network() {
    real_across_a_network(V2026_7_35, test_name!());
}

#[test]
fn real_2026_2_9_across_a_network() {
    real_across_a_network(V2026_2_9, test_name!());
}

/// Every case has an expectation for each version that it is for, and no expectation is left over.
#[test]
fn the_table_is_whole() {
    let all: Vec<&Case> = [ONE_GATEWAY, ITS_ROSTER, KILLED, ACROSS_A_NETWORK]
        .into_iter()
        .flatten()
        .collect();
    assert!(all.len() >= 120, "{} cases", all.len());
    let mut wrong = Vec::new();
    let mut said: BTreeMap<(&str, String), Vec<Contract>> = BTreeMap::new();
    let themes: std::collections::BTreeSet<&str> = all.iter().map(|case| case.theme).collect();
    for theme in themes {
        for (case, by_version) in said::expected(theme) {
            said.insert((theme, case), by_version.into_keys().collect());
        }
    }
    for case in &all {
        let recorded = said
            .remove(&(case.theme, case.name.to_owned()))
            .unwrap_or_default();
        for contract in Contract::ALL {
            let wanted = case.contracts.contains(&contract);
            if wanted != recorded.contains(&contract) {
                let lacks = if wanted {
                    "has no expectation"
                } else {
                    "is not for"
                };
                wrong.push(format!(
                    "{}::{} {lacks}: {}",
                    case.theme,
                    case.name,
                    contract.version()
                ));
            }
        }
    }
    wrong.extend(
        said.into_keys()
            .map(|(theme, case)| format!("{theme}::{case} is no case")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
