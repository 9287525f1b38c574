//! Runs the targets on changed inputs for a while, each in an operating system process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use midflight_fuzz::{
    Finding, Options, Report, TARGETS, Target, Trail, corpus, hunt, judge, seeds, target,
};
use midflight_runtime::TokioRuntime;
use peak_alloc::PeakAlloc;

/// Counts what a target holds.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Fuzzes what meets the bytes of others. Stops a target at the first input that is treated wrongly,
/// writes it to a file and says how to run it again; the exit code is 1 then.
#[derive(Debug, Parser)]
#[command(name = "midflight-fuzz")]
struct Args {
    /// What to fuzz; everything when nothing is named.
    #[arg(value_name = "TARGET", value_parser = PossibleValuesParser::new(TARGETS.map(|t| t.name)))]
    targets: Vec<String>,
    /// For how long, each.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the inputs to begin with are, a folder for each target.
    #[arg(long, default_value = "tests/fuzz/corpus")]
    corpus: PathBuf,
    /// Where to write an input that is treated wrongly.
    #[arg(long, default_value = "target/fuzz")]
    found: PathBuf,
    /// The same seed changes the inputs in the same way. One is drawn and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// How many targets run at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// An input that takes so many seconds is treated wrongly.
    #[arg(long, default_value_t = 5)]
    input_seconds: u64,
    /// Run these files once instead.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// Write a few of the inputs that led to something new to this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the inputs that the corpus begins with, and nothing else.
    #[arg(long)]
    write_seeds: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let targets: Vec<_> = match &args.targets[..] {
        [] => TARGETS.to_vec(),
        names => names.iter().filter_map(|name| target(name)).collect(),
    };
    let done = match &targets[..] {
        all if args.write_seeds => write_seeds(&args, all),
        [one] if args.replay.is_empty() => fuzz(&args, *one),
        [one] => replay(&args, one),
        _ if !args.replay.is_empty() => Err("name one target to run files with".to_owned()),
        all => fuzz_apart(&args, all),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("midflight-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether nothing was found.
type Good = Result<bool, String>;

/// Each in a process of its own, so that memory can be measured, `jobs` at once.
fn fuzz_apart(args: &Args, targets: &[Target]) -> Good {
    let mut good = true;
    for targets in targets.chunks(args.jobs.max(1)) {
        let children: Result<Vec<_>, _> = targets.iter().map(|one| start(args, one)).collect();
        for (mut child, target) in children?.into_iter().zip(targets) {
            let status = child.wait().map_err(|e| e.to_string())?;
            if status.code().is_none() {
                println!("{}: {status}; again with its seed", target.name);
            }
            good &= status.success();
        }
    }
    Ok(good)
}

fn start(args: &Args, target: &Target) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.arg(target.name).arg("--corpus").arg(&args.corpus).arg("--found").arg(&args.found);
    command.args(["--seconds", &args.seconds.to_string()]);
    command.args(["--input-seconds", &args.input_seconds.to_string()]);
    if let Some(seed) = args.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(keep) = &args.keep {
        command.arg("--keep").arg(keep);
    }
    command.spawn().map_err(|e| format!("cannot start {}: {e}", target.name))
}

fn fuzz(args: &Args, target: Target) -> Good {
    let inputs = load(args, &target)?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tokio = tokio.map_err(|e| e.to_string())?;
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let options = Options {
        time: Duration::from_secs(args.seconds),
        seed: args.seed.unwrap_or_else(|| runtime.random_u64()),
        input_time: Duration::from_secs(args.input_seconds),
    };
    let seed = options.seed;
    println!("{}: {} inputs to begin with, seed {seed}", target.name, inputs.len());
    let report = tokio.block_on(hunt(&runtime, target, inputs, options));
    // An input that does not end must not hold up ours.
    tokio.shutdown_background();
    say(args, &target, seed, &report)
}

fn load(args: &Args, target: &Target) -> Result<Vec<Vec<u8>>, String> {
    corpus::load(&args.corpus, target.name)
        .map_err(|e| format!("no corpus in {}: {e}", args.corpus.display()))
}

fn say(args: &Args, target: &Target, seed: u64, report: &Report) -> Good {
    let Report { inputs, new, finding } = report;
    let (name, seconds) = (target.name, args.seconds);
    if let Some(keep) = &args.keep {
        let known = load(args, target)?;
        for input in corpus::distil(target, &known, new) {
            corpus::save(keep, name, input).map_err(|e| e.to_string())?;
        }
    }
    let Some(Finding { input, fault }) = finding else {
        println!("{name}: {inputs} inputs in {seconds} s, {} of them new, all good", new.len());
        return Ok(true);
    };
    let file = corpus::save(&args.found, name, input).map_err(|e| e.to_string())?;
    println!("{name}: FOUND after {inputs} inputs with seed {seed}: {fault}");
    println!("{name}: again with: {}", again(name, &file));
    Ok(false)
}

fn again(name: &str, file: &Path) -> String {
    format!("cargo run --profile fuzz -p midflight-fuzz -- {name} --replay {}", file.display())
}

fn replay(args: &Args, target: &Target) -> Good {
    let mut good = true;
    for path in &args.replay {
        let input = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let judged = judge(target, &input, &mut Trail::default());
        good &= judged.is_ok();
        match judged {
            Ok(()) => println!("{}: good", path.display()),
            Err(fault) => println!("{}: {fault}", path.display()),
        }
    }
    Ok(good)
}

fn write_seeds(args: &Args, targets: &[Target]) -> Good {
    let written = |e: std::io::Error| e.to_string();
    for target in targets {
        let folder = args.corpus.join(target.name);
        std::fs::create_dir_all(&folder).map_err(written)?;
        for (name, bytes) in seeds::of(target.name) {
            std::fs::write(folder.join(name), bytes).map_err(written)?;
        }
    }
    Ok(true)
}
