//! The micro-batches of a step, shared by the ranks of a job.

use convnext_distributed::{OrderedSum, Ranks};
use serde::Serialize;

use crate::error::TrainError;
use crate::optimization::gradient_layout::GradientLayout;
use crate::run::meeting::{all_gather, meet};
use crate::training::accumulation::{Accumulated, MicroBatch, MicroBatchReport, accumulate};
use crate::training::micro_batch_message::{MicroBatchMessage, said};
use crate::training::step_error::StepError;

/// Order in which the gradients of a step are added up over ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GradientSum {
    /// That of the micro-batches: the bits of one process, for any number of ranks.
    #[default]
    Ordered,
    /// Each rank adds up its own, and one all-reduce does the rest: less to send with several micro-batches a rank, but the
    /// bits depend on the number of ranks and on the engine.
    Fast,
}

impl GradientSum {
    /// `true` for the order of the micro-batches, which needs no record.
    pub(crate) fn is_ordered(&self) -> bool {
        *self == Self::Ordered
    }
}

/// Part of a rank in the steps of a training: micro-batch m of a step belongs to rank m modulo R, in round m / R.
#[derive(Debug, Clone)]
pub(crate) struct StepShare {
    pub(crate) ranks: Ranks,
    /// Micro-batches of a step, of all ranks.
    pub(crate) micro_batches: usize,
    pub(crate) sum: GradientSum,
    /// Ranks meet within the loss of a micro-batch: [`crate::Task::is_synchronised`].
    pub(crate) is_synchronised: bool,
}

impl Default for StepShare {
    /// The whole of steps of one micro-batch.
    fn default() -> Self {
        Self {
            ranks: Ranks::default(),
            micro_batches: 1,
            sum: GradientSum::default(),
            is_synchronised: false,
        }
    }
}

impl StepShare {
    /// The part of a rank.
    ///
    /// # Errors
    /// [`StepError::Ranks`] when there are more ranks than micro-batches: some would have nothing to do.
    pub(crate) fn new(ranks: Ranks, micro_batches: usize, sum: GradientSum) -> Result<Self, TrainError> {
        let micro_batches = micro_batches.max(1);
        match ranks.size() > micro_batches {
            true => Err(StepError::Ranks { ranks: ranks.size(), micro_batches }.into()),
            false => Ok(Self { ranks, micro_batches, sum, is_synchronised: false }),
        }
    }

    /// Of the batches of an epoch from a step on, the numbers of those that this rank computes.
    pub(crate) fn numbers(&self, first_step: usize, batches: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, every) = (first_step.saturating_mul(self.micro_batches), self.micro_batches);
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        (first..batches).filter(move |number| number % every % size == rank)
    }

    /// Micro-batches of a step that this rank computes.
    pub(crate) fn own(&self) -> usize {
        self.numbers(0, self.micro_batches).count()
    }

    /// The own result where all ranks go on together, if these are synchronised.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] when any rank has that, [`TrainError::Rank`] when one has another error.
    pub(crate) fn together<T>(&self, own: Result<T, TrainError>) -> Result<T, TrainError> {
        if self.is_synchronised { meet(&self.ranks, own) } else { own }
    }

    /// Adds up the micro-batches of all ranks, of which `micro_batches` has those of this rank in their order. All ranks get
    /// the same.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] for the first loss that is not finite, [`TrainError::Rank`] when any rank has another error.
    pub(crate) fn accumulate(
        &self,
        layout: impl FnOnce() -> GradientLayout,
        micro_batches: impl Iterator<Item = Result<MicroBatch, TrainError>>,
    ) -> Result<Accumulated, TrainError> {
        if self.ranks.is_alone() {
            return accumulate(micro_batches);
        }
        let layout = &layout();
        match self.sum {
            GradientSum::Ordered => self.add_in_order(layout, micro_batches),
            GradientSum::Fast => self.add_fast(layout, micro_batches),
        }
    }

    fn add_in_order(
        &self,
        layout: &GradientLayout,
        mut micro_batches: impl Iterator<Item = Result<MicroBatch, TrainError>>,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = OrderedSum::new(&self.ranks, layout.values());
        let (mut reports, mut is_present) = (Vec::new(), vec![false; layout.tensors()]);
        for first in (0..self.micro_batches).step_by(self.ranks.size()) {
            let count = (self.micro_batches - first).min(self.ranks.size());
            let found = if self.ranks.rank() < count { micro_batches.next().transpose() } else { Ok(None) };
            let (own, said) = said(layout, found);
            let own = own.map(|gradients| layout.flatten(gradients)).unwrap_or_else(|| layout.nothing());
            for (rank, message) in all_gather(&self.ranks, said)?.into_iter().take(count).enumerate() {
                reports.push(self.counted(rank, message.report(layout, &mut is_present)));
            }
            sum.add(&own, count);
        }
        Ok(Accumulated::of(layout.named(&sum.finish(), &is_present), reports))
    }

    fn add_fast(
        &self,
        layout: &GradientLayout,
        micro_batches: impl Iterator<Item = Result<MicroBatch, TrainError>>,
    ) -> Result<Accumulated, TrainError> {
        let (mut sum, mut messages) = (layout.nothing(), Vec::new());
        for found in micro_batches {
            let (gradients, said) = said(layout, found.map(Some));
            messages.push(said);
            let Some(gradients) = gradients else { break };
            sum.iter_mut().zip(layout.flatten(gradients)).for_each(|(sum, value)| *sum += value);
        }
        let messages: Result<Vec<MicroBatchMessage>, TrainError> = messages.into_iter().collect();
        let mut of_ranks: Vec<_> =
            all_gather(&self.ranks, messages)?.into_iter().map(Vec::into_iter).collect();
        let (mut reports, mut is_present) = (Vec::new(), vec![false; layout.tensors()]);
        for number in 0..self.micro_batches {
            let rank = number % self.ranks.size();
            let message = of_ranks[rank].next().unwrap_or_default();
            reports.push(self.counted(rank, message.report(layout, &mut is_present)));
        }
        self.ranks.all_reduce_sum(&mut sum);
        Ok(Accumulated::of(layout.named(&sum, &is_present), reports))
    }

    /// A report as it counts: ranks that are synchronised observe one batch together, of which rank 0 tells.
    fn counted(&self, rank: usize, report: MicroBatchReport) -> MicroBatchReport {
        match self.is_synchronised && rank > 0 {
            true => MicroBatchReport { observed: Vec::new(), ..report },
            false => report,
        }
    }
}
