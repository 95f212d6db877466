//! Members of an archive that are called as images are, but hold none: links to others, and sparse files.

/// Such members: how many, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct LinkedMembers {
    count: usize,
    first: String,
}

impl LinkedMembers {
    /// Counts one.
    pub(crate) fn add(&mut self, member: &str) {
        if self.count == 0 {
            member.clone_into(&mut self.first);
        }
        self.count += 1;
    }

    /// What is left out, in words; `None` for nothing.
    pub(crate) fn summary(&self) -> Option<String> {
        let (count, first) = (self.count, &self.first);
        (count > 0).then(|| {
            format!(
                "{count} member(s) called as images are links or sparse files and left out, the first {first}; pack the \
                 images themselves, as tar --dereference --hard-dereference does without -S"
            )
        })
    }
}
