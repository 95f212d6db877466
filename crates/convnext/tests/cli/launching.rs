//! Processes that a launcher started, as they see themselves by its variables.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;

const PRETRAIN: &str =
    "pretrain --data photos --model micro --image-size 32 --stem-stride 1 --batch-size 4 --steps 1 --out run";

fn rank(rank: &'static str, size: &'static str) -> [(&'static str, &'static str); 2] {
    [("OMPI_COMM_WORLD_RANK", rank), ("OMPI_COMM_WORLD_SIZE", size)]
}

#[test]
fn a_job_of_one_is_an_ordinary_process_with_a_code_for_its_errors() {
    let bench = Bench::new();
    bench.draw_classes("photos", 2);
    bench.run_with(PRETRAIN, &rank("0", "1")).success().stdout(contains("run/weights.safetensors"));
    // 1 is what launchers say of lost machines.
    let again = bench.run_with(PRETRAIN, &rank("0", "1")).code(65);
    again.stderr(contains("error: ").count(1)).stdout(predicate::str::is_empty());
    bench.run_with("pretrain --epochs x", &rank("0", "1")).code(2);
    bench.run_with("models", &rank("0", "1")).success();
}

#[test]
fn processes_that_do_not_know_of_each_other_are_warned_of() {
    let bench = Bench::new();
    bench.draw_classes("photos", 2);
    let step = [("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "0")];
    bench
        .run_with(PRETRAIN, &step)
        .success()
        .stderr(contains("to share it, start them with srun --mpi=pmix"));
}

/// With MPI built in, ranks whose launcher is not there cannot start.
#[cfg(not(feature = "mpi"))]
mod without_mpi {
    use super::*;

    /// Rank 0 says what is wrong; the others leave it the word, and are no failure of their own.
    fn check_refused(bench: &Bench, line: &str, code: i32, words: &str) {
        let first = bench.run_with(line, &rank("0", "2")).code(code);
        first.stderr(contains(words)).stdout(predicate::str::is_empty());
        let second = bench.run_with(line, &rank("1", "2")).success();
        second.stderr(predicate::str::is_empty()).stdout(predicate::str::is_empty());
    }

    #[test]
    fn work_is_not_shared_without_mpi() {
        let bench = Bench::new();
        bench.draw_classes("photos", 2);
        for line in [
            PRETRAIN,
            "finetune --data photos --model micro --out run",
            "evaluate --data photos --weights x.safetensors",
            "embed photos --weights x.safetensors --out x.npy",
        ] {
            check_refused(&bench, line, 65, "--features mpi");
        }
        assert!(!bench.exists("run"));
    }

    #[test]
    fn the_work_of_one_process_is_not_done_twice() {
        let bench = Bench::new();
        for line in ["models", "report run", "quickstart --quick"] {
            check_refused(&bench, line, 65, "without a launcher");
        }
        check_refused(&bench, "pretrain --epochs x", 2, "--epochs");
    }

    #[test]
    fn help_is_printed_once() {
        let bench = Bench::new();
        bench.run_with("pretrain --help", &rank("0", "2")).success().stdout(contains("--stall-timeout"));
        bench.run_with("pretrain --help", &rank("1", "2")).success().stdout(predicate::str::is_empty());
    }
}
