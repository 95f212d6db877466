//! The machine that the commands of a study run on.

use convnext_train::MachineRecord;

/// What decides about the last bits of results, and so about more of them later, besides the commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Instruction set of the kernels and that of products in bf16, as a run in bf16 records them: `avx2, bf16 emulated on avx2`.
    pub instructions: String,
}

impl Machine {
    /// A remark about runs that are taken over and were made on another machine, as far as they record theirs.
    pub(crate) fn remark(&self, run: &MachineRecord) -> Option<String> {
        let Self { processor, instructions } = self;
        let in_f32 = instructions.split(',').next().unwrap_or_default();
        let recorded = run.instruction_set.as_deref();
        // Without products in bf16 a run does not record theirs.
        let own = match recorded {
            Some(recorded) if recorded.contains(',') => instructions.as_str(),
            _ => in_f32,
        };
        let is_same = run.processor == *processor && recorded.is_none_or(|recorded| recorded == own);
        (!is_same).then(|| {
            let with = recorded.map(|recorded| format!(" with {recorded}")).unwrap_or_default();
            format!(
                "trainings that are taken over were made on {}{with}, and others will be on {processor} with {own}: results may \
                 differ",
                run.processor
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processors_and_instructions_are_remarked() {
        let machine = Machine { processor: "P".into(), instructions: "avx2, bf16 emulated on avx2".into() };
        let remark = |processor: &str, instruction_set: Option<&str>| {
            machine.remark(&MachineRecord {
                processor: processor.into(),
                threads: 1,
                device: "CPU".into(),
                instruction_set: instruction_set.map(str::to_owned),
                precision: "f32".into(),
            })
        };
        for same in [None, Some("avx2"), Some("avx2, bf16 emulated on avx2")] {
            assert_eq!(remark("P", same), None);
        }
        for other in ["avx512", "avx2, bf16 emulated on scalar"] {
            let said = remark("P", Some(other)).unwrap();
            assert!(
                said.contains(&format!("on P with {other}, and others will be on P with avx2")),
                "{said}"
            );
        }
        assert!(remark("Q", None).unwrap().contains("were made on Q, and others"));
    }
}
