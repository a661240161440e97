//! The process: arguments, log on stderr, settings, MCP on stdio; it leaves at the end of stdin, or when a signal says so.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use managed_agents_mcp::api::probe;
use managed_agents_mcp::cli::{Cli, Command};
use managed_agents_mcp::clients::{Client, Launch};
use managed_agents_mcp::config::{Config, SettingError, Starter};
use managed_agents_mcp::doctor::{self, Surroundings};
use managed_agents_mcp::server::wire::Wire;
use managed_agents_mcp::server::{Server, stdio};
#[cfg(unix)]
use managed_agents_mcp::signals;
use managed_agents_mcp::simulator::{Options, Simulator};
use managed_agents_mcp::{log, secrets, settings};
use rmcp::ServiceExt;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How long answers may still be written once the client has closed its end.
const LAST_WORDS: Duration = Duration::from_millis(700);
/// The same after a signal, which may soon be followed by one that kills.
const LAST_WORDS_WHEN_TOLD: Duration = Duration::from_millis(300);
/// For what is being done on the disk. A thread may be blocked in a read or a look-up for longer; it does not hold up the exit.
const LAST_WRITES: Duration = Duration::from_millis(100);

/// For a thousand streams, and for as many calls.
#[cfg(unix)]
const DESCRIPTORS: u64 = 4096;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            log::line(&format!("managed-agents-mcp: {error:#}"));
            ExitCode::from(if error.is::<SettingError>() { 2 } else { 1 })
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    log_panics();
    guard_memory();
    make_room();
    let logging = start_log(lookup("MANAGED_AGENTS_LOG"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = match cli.command {
        Some(Command::Doctor { json }) => {
            let simulator = cli.simulate.then(starter);
            runtime.block_on(examine(json, logging.err(), simulator))
        }
        Some(Command::Config { client }) => configure(client, cli.simulate),
        Some(Command::Simulator { port }) => {
            logging?;
            runtime.block_on(simulate(port))
        }
        None => {
            logging?;
            warn_of_what_is_no_setting();
            let config = match cli.simulate {
                true => Config::read_for_simulator(&lookup)?,
                false => Config::read(&lookup)?,
            };
            warn_of_what_has_no_effect(&config);
            let config = if cli.simulate {
                config.simulated(starter())
            } else {
                config
            };
            runtime.block_on(serve(config))
        }
    };
    runtime.shutdown_timeout(LAST_WRITES);
    done
}

/// A panic is a line like any other.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        log::line(&format!("managed-agents-mcp: {panic}"));
    }));
}

/// Other processes of the same user may not read this one's memory and variables, and no crash writes them to a disk.
fn guard_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit,
        };
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        // Where it is not allowed, nothing is lost but this.
        let _ = setrlimit(Resource::Core, none);
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Each followed session takes a descriptor, of which some systems give few unless asked for more.
fn make_room() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit
            .maximum
            .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
        if limit.current.is_some_and(|current| current < wanted) {
            // Without it fewer sessions are followed at once.
            let _ = setrlimit(
                Resource::Nofile,
                Rlimit {
                    current: Some(wanted),
                    ..limit
                },
            );
        }
    }
}

fn lookup(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn variables() -> Vec<String> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    names.collect()
}

fn warn_of_what_is_no_setting() {
    for unknown in settings::unknown(variables().into_iter()) {
        match unknown.meant {
            Some(meant) => tracing::warn!("{unknown}; did you mean {meant}?"),
            None => tracing::warn!("{unknown}; --help lists the settings"),
        }
    }
}

/// A folder may be on a disk that comes later, so none of this ends the process. A dead network drive never answers: nothing waits.
fn warn_of_what_has_no_effect(config: &Config) {
    for doubt in config.doubts().iter().chain(config.idle_secrets()) {
        tracing::warn!("{doubt}");
    }
    if !config.is_local() {
        let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let value = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        for name in names {
            if value(name).is_some_and(|value| !probe::is_proxy(&value)) {
                tracing::warn!("{name} cannot be read as the URL of a proxy, and is ignored");
            }
        }
        // The system is asked for a proxy only where it may matter: that takes time.
        let is_socks = |name| value(name).is_some_and(|value| value.starts_with("socks"));
        if names.into_iter().any(is_socks) && probe::meets_socks(config) {
            tracing::warn!(
                "the proxy for ANTHROPIC_BASE_URL is a SOCKS proxy, which is not supported: name an HTTP proxy in HTTPS_PROXY"
            );
        }
    }
    let roots = config.file_roots.clone();
    if roots.is_empty() {
        return;
    }
    std::thread::spawn(move || {
        for root in roots.iter().filter(|root| !root.is_dir()) {
            tracing::warn!(
                "MANAGED_AGENTS_FILE_ROOTS names {}, which is no folder now: nothing in it can be read or written",
                root.display()
            );
        }
    });
}

async fn examine(
    json: bool,
    log_error: Option<SettingError>,
    simulator: Option<Starter>,
) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings {
        lookup: &lookup,
        variables: variables(),
        folder: std::env::current_dir().unwrap_or_default(),
        log_error: log_error.map(|error| error.to_string()),
        simulator,
    };
    let report = doctor::examine(surroundings).await;
    let text = if json { report.json() } else { report.text() };
    std::io::stdout().write_all(secrets::mask(&text).as_bytes())?;
    Ok(ExitCode::from(u8::from(!report.is_ok())))
}

fn start_log(filter: Option<String>) -> Result<(), SettingError> {
    // rmcp warns of every refused request, and hosts keep stderr.
    let filter = filter
        .filter(|filter| !filter.trim().is_empty())
        .unwrap_or_else(|| "warn,rmcp=error".to_owned());
    let refused =
        |why: String| SettingError::new(format!("MANAGED_AGENTS_LOG is not a filter: {why}"));
    // A word alone would be a module's name, and a misspelled level hides what was to be seen.
    let mut words = filter.split(',').map(str::trim);
    let is_module = |word: &str| word.contains(['=', ':']) || word.contains("managed_agents_mcp");
    let odd = words.find(|word| !is_module(word) && word.parse::<LevelFilter>().is_err());
    if let Some(odd) = odd {
        return Err(refused(format!(
            "{odd:?} is neither a level (error, warn, info, debug, trace, off) nor `module=level`"
        )));
    }
    let filter: Targets = filter
        .parse()
        .map_err(|error: ParseError| refused(error.to_string()))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(log::Stderr)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    Ok(())
}

/// Starts the simulator with the first call, and keeps it for as long as the process lives.
fn starter() -> Starter {
    let running: Arc<OnceCell<Simulator>> = Arc::default();
    Arc::new(move || {
        let running = Arc::clone(&running);
        Box::pin(async move {
            let simulator = running
                .get_or_try_init(|| Simulator::start(Options::default()))
                .await?;
            simulator.base_url().parse().map_err(std::io::Error::other)
        })
    })
}

/// The block alone on stdout, so that it can be piped into a file.
fn configure(client: Client, simulate: bool) -> anyhow::Result<ExitCode> {
    let binary = std::env::current_exe().context("the path of this binary")?;
    let launch = Launch::of(&binary, simulate, &lookup).map_err(anyhow::Error::msg)?;
    std::io::stdout().write_all(client.block(&launch).as_bytes())?;
    std::io::stderr().write_all(client.notes(&launch).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    if std::io::stdin().is_terminal() {
        log::line(
            "managed-agents-mcp: speaks MCP on standard input and output, for a client to start; `managed-agents-mcp config --help` \
             says which are known, ctrl-d ends it.",
        );
    }
    #[cfg(unix)]
    signals::survive_full_files();
    let gone = CancellationToken::new();
    let ends = stdio::ends(gone.clone()).context("standard input and output")?;
    let server = Server::new(Arc::new(config), gone.clone());
    let serving = async {
        let running = match server.serve(Wire::new(ends)).await {
            Ok(running) => running,
            Err(_) if gone.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "no client could be greeted");
                return;
            }
        };
        if let Err(error) = running.waiting().await {
            tracing::error!(%error, "the server stopped");
        }
    };
    let too_late = async {
        let left = tokio::select! {
            () = gone.cancelled() => LAST_WORDS,
            () = asked_to_end() => LAST_WORDS_WHEN_TOLD,
        };
        gone.cancel();
        tokio::time::sleep(left).await;
    };
    tokio::select! {
        () = serving => {}
        () = too_late => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn asked_to_end() {
    #[cfg(unix)]
    signals::asked_to_end().await;
    #[cfg(not(unix))]
    std::future::pending().await
}

async fn simulate(port: u16) -> anyhow::Result<ExitCode> {
    let options = Options {
        port,
        ..Options::default()
    };
    let simulator = Simulator::start(options)
        .await
        .with_context(|| format!("port {port}"))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", simulator.base_url())?;
    out.flush()?;
    writeln!(
        std::io::stderr(),
        "{}",
        managed_agents_mcp::simulator::help()
    )?;
    std::future::pending().await
}
