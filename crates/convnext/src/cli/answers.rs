//! Answers about images: printed as they come, or kept for one list of JSON.

use anyhow::bail;

/// Answers of a command so far. Only those that JSON lists in the end are kept: of a large folder memory may not hold all.
pub(super) struct Answers<A> {
    /// `None` where each is printed as it comes.
    list: Option<Vec<A>>,
    count: usize,
}

impl<A> Answers<A> {
    /// No answers yet; with `json` they are kept.
    pub(super) fn new(json: bool) -> Self {
        Self { list: json.then(Vec::new), count: 0 }
    }

    /// Keeps an answer for JSON, or prints it.
    pub(super) fn add(
        &mut self,
        answer: A,
        print: impl FnOnce(&A) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.count += 1;
        match &mut self.list {
            Some(list) => {
                list.push(answer);
                Ok(())
            }
            None => print(&answer),
        }
    }

    /// The answers that JSON lists; `None` where they were printed.
    ///
    /// # Errors
    /// When there is an answer about none of so many images.
    pub(super) fn finish(self, images: usize) -> anyhow::Result<Option<Vec<A>>> {
        if self.count == 0 {
            bail!("none of the {images} images could be read; the warnings above say why");
        }
        Ok(self.list)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    /// Bug: the objects found in all images were kept, though each answer was printed as it came.
    #[test]
    fn what_is_printed_is_not_kept() {
        for (json, kept) in [(false, 0), (true, 3)] {
            let (answer, mut printed) = (Rc::new(()), 0);
            let mut answers = Answers::new(json);
            for _ in 0..3 {
                let print = |_: &Rc<()>| {
                    printed += 1;
                    Ok(())
                };
                answers.add(Rc::clone(&answer), print).unwrap();
            }
            assert_eq!((Rc::strong_count(&answer) - 1, printed), (kept, 3 - kept));
            assert_eq!(answers.finish(3).unwrap().map(|list| list.len()), json.then_some(3));
        }
        let words = Answers::<()>::new(false).finish(2).unwrap_err().to_string();
        assert!(words.starts_with("none of the 2 images"), "{words}");
    }
}
