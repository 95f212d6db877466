//! The launcher that started this process, by what it left in the environment.

use std::env;
use std::ffi::OsString;

/// How a launcher tells a process its rank and the number of ranks: its name, and the variables of both.
const LAUNCHERS: [(&str, &str, &[&str]); 3] = [
    ("Open MPI", "OMPI_COMM_WORLD_RANK", &["OMPI_COMM_WORLD_SIZE"]),
    // PMIx has no variable for the number; SLURM has.
    ("PMIx", "PMIX_RANK", &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]),
    ("PMI", "PMI_RANK", &["PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]),
];

/// How the names of a launcher's variables begin.
const PREFIXES: [&str; 4] = ["OMPI_", "PMIX_", "PMI_", "PRTE_"];

/// What users set for a launcher, and launchers do not.
const OF_USERS: [&str; 2] = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"];

/// A process that a launcher, such as `mpirun` or `srun`, started as one of several. Read from the environment: nothing
/// of MPI is needed, or touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Name of the launcher, or of the interface by which it talks to its processes.
    pub launcher: &'static str,
    /// The number of this rank, from 0.
    pub rank: usize,
    /// The number of ranks, where the launcher tells.
    pub size: Option<usize>,
}

impl Launch {
    /// The launcher of this process, if one started it.
    pub fn of_this_process() -> Option<Self> {
        Self::from_variables(|name| env::var(name).ok())
    }

    /// The same of a process with these variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.parse::<usize>().ok();
        LAUNCHERS.iter().find_map(|&(launcher, rank, sizes)| {
            let rank = number(rank)?;
            Some(Self { launcher, rank, size: sizes.iter().find_map(|size| number(size)) })
        })
    }

    /// `true` for rank 0, which alone prints and writes.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// `true` if the process is one of several, or might be.
    pub fn has_others(&self) -> bool {
        self.size != Some(1)
    }
}

/// How many processes `srun` started when it told them nothing of each other, as it does without `--mpi=pmix`; nothing where they
/// know, or there is one.
pub fn unconnected_processes() -> Option<usize> {
    unconnected(|name| env::var(name).ok())
}

/// The same of a process with these variables.
fn unconnected(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let processes = variable("SLURM_STEP_NUM_TASKS")?.parse().ok()?;
    (processes > 1 && Launch::from_variables(variable).is_none()).then_some(processes)
}

/// Names of the variables of this process that a launcher may have set: a process that is started with them takes itself for
/// a rank of the same job.
pub fn launcher_variables() -> Vec<OsString> {
    let is_of_launcher = |name: &OsString| {
        let name = name.to_string_lossy();
        PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !OF_USERS.contains(&&*name)
    };
    env::vars_os().map(|(name, _)| name).filter(is_of_launcher).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(variables: &[(&str, &str)], asked: &str) -> Option<String> {
        variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
    }

    fn launch(variables: &[(&str, &str)]) -> Option<Launch> {
        Launch::from_variables(|asked| variable(variables, asked))
    }

    #[test]
    fn launchers_are_told_by_their_variables() {
        let slurm = ("SLURM_NTASKS", "4");
        for (variables, expected) in [
            (&[("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "3")][..], ("Open MPI", 2, Some(3))),
            // `mpirun` in a job of SLURM sets both, and means its own ranks.
            (
                &[("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2"), ("PMIX_RANK", "1"), slurm],
                ("Open MPI", 1, Some(2)),
            ),
            (&[("PMIX_RANK", "0"), slurm, ("SLURM_STEP_NUM_TASKS", "2")], ("PMIx", 0, Some(2))),
            (&[("PMI_RANK", "5"), ("PMI_SIZE", "6")], ("PMI", 5, Some(6))),
            (&[("PMIX_RANK", "0")], ("PMIx", 0, None)),
        ] {
            let found = launch(variables).unwrap();
            assert_eq!((found.launcher, found.rank, found.size), expected, "{variables:?}");
        }
    }

    #[test]
    fn an_ordinary_process_in_a_job_has_no_launcher() {
        assert_eq!(launch(&[]), None);
        assert_eq!(launch(&[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")]), None);
        assert_eq!(launch(&[("PMIX_RANK", "")]), None);
    }

    #[test]
    fn processes_of_srun_that_know_nothing_of_each_other_are_noticed() {
        let found = |variables: &[(&str, &str)]| unconnected(|asked| variable(variables, asked));
        let four = ("SLURM_STEP_NUM_TASKS", "4");
        assert_eq!(found(&[four, ("SLURM_PROCID", "2")]), Some(4));
        // With `--mpi=pmix`, below `mpirun`, in a batch script, and alone.
        assert_eq!(found(&[four, ("PMIX_RANK", "2")]), None);
        assert_eq!(found(&[four, ("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "8")]), None);
        assert_eq!(found(&[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")]), None);
        assert_eq!(found(&[("SLURM_STEP_NUM_TASKS", "1")]), None);
    }

    #[test]
    fn a_job_of_one_has_no_others() {
        let of = |size| Launch { launcher: "PMI", rank: 0, size };
        assert!(!of(Some(1)).has_others() && of(Some(2)).has_others() && of(None).has_others());
    }
}
