//! The operations of the MPI engine, and the ends of jobs: this program starts itself under `mpirun`, over shared memory and over
//! TCP, and is then a rank.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]
#![allow(clippy::print_stdout, reason = "it has no harness that says what it does")]

use std::env;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use convnext_distributed::{Launch, Mpi, OrderedSum, RankFailure, Ranks};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Networks, as arguments of `mpirun`: all that there are, which is shared memory within a machine, or TCP alone.
const NETWORKS: [&[&str]; 2] = [&[], &["--mca", "btl", "tcp,self"]];

/// A job that is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Within this time of the death of a rank all must be gone.
const PROMPT: Duration = Duration::from_secs(5);

/// Values of a message that is sent in one piece, as the engine has it.
const MESSAGE: usize = 1 << 24;

/// Parts, each with the exit code that its job must end with; `None` for any but 0.
const PARTS: [(&str, Option<i32>); 6] = [
    ("operations", Some(0)),
    ("sums", Some(0)),
    ("meetings", Some(0)),
    ("aborts", Some(65)),
    ("dies", None),
    ("exits", None),
];

fn main() -> ExitCode {
    if Launch::of_this_process().is_some() {
        return be_a_rank();
    }
    let mut failed = 0;
    for (part, code) in PARTS {
        for network in NETWORKS {
            for size in [2, 3, 4] {
                let is_right = run_job(part, code, network, size);
                let said = if is_right { "ok" } else { "FAILED" };
                println!("{part} {network:?} {size} ranks: {said}");
                failed += usize::from(!is_right);
            }
        }
    }
    ExitCode::from(u8::from(failed > 0))
}

/// Runs a part on so many ranks; `true` if it ended as it must.
fn run_job(part: &str, code: Option<i32>, network: &[&str], size: usize) -> bool {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &size.to_string()]).args(network);
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    let must_fail = code != Some(0);
    if must_fail {
        command.stderr(Stdio::null());
    }
    let start = Instant::now();
    let mut job = command.arg(env::current_exe().unwrap()).arg(part).spawn().expect("mpirun is installed");
    while start.elapsed() < PATIENCE {
        if let Some(status) = job.try_wait().unwrap() {
            let is_prompt = !must_fail || start.elapsed() < PROMPT;
            let is_expected = code.map_or_else(|| !status.success(), |code| status.code() == Some(code));
            return is_prompt && is_expected;
        }
        sleep(Duration::from_millis(20));
    }
    job.kill().unwrap();
    job.wait().unwrap();
    false
}

fn be_a_rank() -> ExitCode {
    // As the program does: unwinding would wait for the others in the end of MPI.
    let trace = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        trace(panic);
        std::process::abort();
    }));
    let mpi = Mpi::start().unwrap();
    let ranks = mpi.ranks();
    let launch = Launch::of_this_process().unwrap();
    assert_eq!((launch.rank, launch.size), (ranks.rank(), Some(ranks.size())));
    assert_eq!(ranks.local_size(), ranks.size(), "all are on this machine");
    assert!(Mpi::start().is_err(), "MPI started twice");
    match env::args().nth(1).unwrap().as_str() {
        "operations" => operations(&ranks),
        "sums" => sums(&ranks),
        "meetings" => meetings(&ranks),
        end => end_early(end, &ranks),
    }
    ExitCode::SUCCESS
}

/// A value that tells the rank that it comes from, the one it goes to and its place.
fn value(from: usize, to: usize, place: usize) -> f32 {
    (place % 4099) as f32 + 10_000.0 * from as f32 + 100_000.0 * to as f32
}

fn operations(ranks: &Ranks) {
    let (rank, size) = (ranks.rank(), ranks.size());
    // The last one is cut into messages.
    for length in [0, 1, 1000, MESSAGE / size + 5] {
        let values = |from: usize, to: usize| (0..length).map(move |place| value(from, to, place));
        let pieces: Vec<f32> = (0..size).flat_map(|to| values(rank, to)).collect();
        let mut received = vec![f32::NAN; length * size];
        ranks.exchange(&pieces, &mut received);
        assert!(
            received.iter().copied().eq((0..size).flat_map(|from| values(from, rank))),
            "exchange {length}"
        );

        let mut all = vec![f32::NAN; length * size];
        ranks.all_gather_values(&pieces[..length], &mut all);
        assert!(
            all.iter().copied().eq((0..size).flat_map(|from| values(from, 0))),
            "all_gather_values {length}"
        );

        let byte = |from: usize, place: usize| (place % 251) as u8 ^ from as u8;
        let bytes: Vec<u8> = (0..length).map(|place| byte(rank, place)).collect();
        let mut all = vec![0xff; length * size];
        ranks.all_gather_bytes(&bytes, &mut all);
        let expected = (0..size).flat_map(|from| (0..length).map(move |place| byte(from, place)));
        assert!(all.iter().copied().eq(expected), "all_gather_bytes {length}");
    }
    for length in [0, 1, 1000, MESSAGE + 5] {
        // Whole numbers, whose sum is the same in every order.
        let mut values: Vec<f32> = (0..length).map(|place| ((rank + 1) * (place % 1000)) as f32).collect();
        ranks.all_reduce_sum(&mut values);
        let factor = size * (size + 1) / 2;
        let expected = (0..length).map(|place| (factor * (place % 1000)) as f32);
        assert!(values.into_iter().eq(expected), "all_reduce_sum {length}");
        for root in 0..size {
            let byte = |from: usize, place: usize| (place % 241) as u8 ^ from as u8;
            let mut bytes: Vec<u8> = (0..length).map(|place| byte(rank, place)).collect();
            ranks.broadcast(&mut bytes, root);
            let expected = (0..length).map(|place| byte(root, place));
            assert!(bytes.into_iter().eq(expected), "broadcast {length}");
        }
    }
}

/// Values of very different sizes, for which every order of additions has its own sum.
fn vector(number: usize, length: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(number as u64);
    let value = |word: u32| f32::from_bits(word & 0x807f_ffff | (100 + word % 40) << 23);
    (0..length).map(|_| value(random.next_u32())).collect()
}

fn sums(ranks: &Ranks) {
    let size = ranks.size();
    for (length, count) in [(1, 5), (7, 12), (1000, 12), ((1 << 20) + 3, 7)] {
        let mut expected = vector(0, length);
        for number in 1..count {
            expected.iter_mut().zip(vector(number, length)).for_each(|(sum, value)| *sum += value);
        }
        let mut sum = OrderedSum::new(ranks, length);
        for first in (0..count).step_by(size) {
            sum.add(&vector(first + ranks.rank(), length), (count - first).min(size));
        }
        let found = sum.finish().into_iter().map(f32::to_bits);
        assert!(found.eq(expected.into_iter().map(f32::to_bits)), "{count} vectors of {length}");
    }
}

fn meetings(ranks: &Ranks) {
    let (rank, size) = (ranks.rank(), ranks.size());
    for length in [0, 3, MESSAGE / 4] {
        let own: Vec<u32> = vec![rank as u32; length * (rank + 1)];
        let all = ranks.all_gather(Ok::<_, RankFailure>(own)).unwrap();
        assert_eq!(all.len(), size);
        for (rank, list) in all.iter().enumerate() {
            assert!(list.len() == length * (rank + 1) && list.iter().all(|&number| number == rank as u32));
        }
    }
    let failure = RankFailure { rank, host: ranks.host(), message: format!("no images on {rank}") };
    let failed = ranks.meet(if rank == 1 { Err(failure) } else { Ok(()) }).unwrap_err();
    assert_eq!((failed.rank, failed.host), (1, ranks.host()));
    assert!(failed.message.ends_with("no images on 1"), "{}", failed.message);
    // All know of it, and can go on together.
    let watched = ranks.clone().watched(PATIENCE, |_| std::process::abort());
    assert_eq!(watched.from_first(|| Ok::<_, RankFailure>(rank)).unwrap(), 0);
    // Another thread may talk, one at a time.
    let other = ranks.clone();
    let sum = std::thread::spawn(move || {
        let mut sum = [1.0];
        other.all_reduce_sum(&mut sum);
        sum[0]
    });
    assert_eq!(sum.join().unwrap(), size as f32);
}

/// Ends rank 1 while the others wait for it.
fn end_early(how: &str, ranks: &Ranks) {
    if ranks.rank() == 1 {
        sleep(Duration::from_millis(100));
        match how {
            "aborts" => ranks.abort(65),
            "dies" => panic!("rank 1 falls, as it should in this test"),
            "exits" => std::process::exit(0),
            _ => panic!("no part is called {how}"),
        }
    }
    ranks.all_gather_bytes(&[0], &mut vec![0; ranks.size()]);
    panic!("rank 1 answers");
}
