//! The hot paths, one in a process, for a program that counts instructions.
//!
//! `hot-paths NAME` runs one of them; `--names` prints all, `--machine` the instructions that its kernels find. The counter watches
//! [`counted_work`], so that loading models and compiling components is not in the counts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints what it is asked for")]

mod guarding;
mod kernels;
mod models;

#[allow(dead_code, reason = "the tests and benches use the rest")]
#[path = "../../native_support/mod.rs"]
mod native_support;
#[allow(dead_code, reason = "the benches use the rest")]
#[path = "../../speed/question.rs"]
mod question;

use rayon::ThreadPoolBuilder;
use std::{process::ExitCode, sync::Once};

/// One hot path, ready to run.
pub(crate) type Work = Box<dyn FnMut()>;

/// Gets a hot path ready.
type Prepare = fn() -> Work;

/// How often a hot path is run under the counter, after a first time that it does not see: pools and tables have grown then.
const TIMES: usize = 3;

/// All of them, by name.
const PATHS: &[(&str, Prepare)] = &[
    ("product-f32-1", || kernels::product_f32(1)),
    ("product-f32-8", || kernels::product_f32(8)),
    ("product-bf16-1", || kernels::product_bf16(1)),
    ("product-bf16-8", || kernels::product_bf16(8)),
    ("product-q8_0-1", || kernels::product_q8_0(1)),
    ("product-q8_0-8", || kernels::product_q8_0(8)),
    ("product-q4_k-8", kernels::product_q4_k),
    ("attention-8", kernels::attention),
    ("draw-32000", kernels::draw),
    ("step-f32-8", models::step_f32),
    ("step-q8_0-8", models::step_q8_0),
    ("project-and-draw-8", models::project_and_draw),
    ("score-f32-8", models::score),
    ("meter-32", guarding::meter),
    ("search-8", guarding::search),
    ("component-32", guarding::component),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--names"] => PATHS.iter().for_each(|(name, _)| println!("{name}")),
        ["--machine"] => println!("{}", machine()),
        [name] => match PATHS.iter().find(|(path, _)| path == name) {
            Some((_, prepare)) => run(*prepare),
            None => return wrong(name),
        },
        other => return wrong(&format!("{other:?}")),
    }
    ExitCode::SUCCESS
}

fn wrong(found: &str) -> ExitCode {
    eprintln!("{found}: expected the name of one hot path, `--names` or `--machine`");
    ExitCode::FAILURE
}

fn run(prepare: Prepare) {
    let mut work = prepare();
    work();
    counted_work(&mut *work);
}

/// What the counter watches.
#[inline(never)]
fn counted_work(work: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        work();
    }
}

/// Lets no other thread compute: the counter watches one thread, and shares of work do not vary.
pub(crate) fn compute_here() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        pool.build_global().expect("no pool has been built");
    });
}

/// What the kernels choose by.
#[cfg(target_arch = "x86_64")]
fn machine() -> String {
    let all = [
        ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
    ];
    let found: Vec<&str> = all.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    format!("x86_64 with {}", if found.is_empty() { "neither AVX2 nor FMA".to_owned() } else { found.join(" and ") })
}

/// As above.
#[cfg(not(target_arch = "x86_64"))]
fn machine() -> String {
    std::env::consts::ARCH.to_owned()
}
