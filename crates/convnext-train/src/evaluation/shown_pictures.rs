//! Pictures of the images of an evaluation that went best and worst.

use std::collections::BTreeMap;
use std::path::Path;

use convnext_data::{DataError, Image};

/// Pictures of the best and the worst images of an evaluation, such as truth beside prediction, each in the order of its list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShownPictures {
    /// Of the best images, the best first.
    pub best: Vec<Image>,
    /// Of the worst images, the worst first.
    pub worst: Vec<Image>,
}

impl ShownPictures {
    /// Writes the pictures into a folder, as `best-01.png` and so on, and their paths from the run folder to what `thumbnail`
    /// tells of the samples, which are the best and the worst in the order of the pictures.
    ///
    /// # Errors
    /// [`DataError::Io`] when one cannot be written.
    pub fn save<S>(
        &self,
        folder: &Path,
        samples: [&mut [S]; 2],
        thumbnail: impl Fn(&mut S) -> &mut Option<String>,
    ) -> Result<(), DataError> {
        let parent = folder.file_name().unwrap_or_default().to_string_lossy();
        for ((name, pictures), samples) in
            [("best", &self.best), ("worst", &self.worst)].into_iter().zip(samples)
        {
            for (number, (picture, sample)) in (1..).zip(pictures.iter().zip(samples)) {
                let file = format!("{name}-{number:02}.png");
                picture.save_png(&folder.join(&file))?;
                *thumbnail(sample) = Some(format!("{parent}/{file}"));
            }
        }
        Ok(())
    }

    /// The pictures as PNG files by the names of their images, of the best and of the worst in the order of the pictures.
    pub fn by_name<'a>(
        &self,
        best: impl Iterator<Item = &'a str>,
        worst: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, Vec<u8>> {
        let all = best.zip(&self.best).chain(worst.zip(&self.worst));
        all.map(|(name, picture)| (name.to_owned(), picture.png())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_to_their_images() {
        let picture = |number: u8| Image::new(1, 1, 1, vec![number]).unwrap();
        let pictures = ShownPictures { best: vec![picture(0)], worst: (1..7).map(picture).collect() };
        let folder = tempfile::tempdir().unwrap();
        let (mut best, mut worst) = ([None], [const { None }; 6]);
        pictures.save(folder.path(), [&mut best, &mut worst], |thumbnail| thumbnail).unwrap();
        for (number, thumbnail) in (1..).zip(&worst) {
            assert!(
                thumbnail.as_ref().unwrap().ends_with(&format!("/worst-{number:02}.png")),
                "{thumbnail:?}"
            );
            let saved = std::fs::read(folder.path().join(format!("worst-{number:02}.png"))).unwrap();
            assert!(saved == picture(number).png());
        }
        assert!(
            best[0].as_ref().unwrap().ends_with("/best-01.png")
                && folder.path().join("best-01.png").is_file()
        );
        let found = pictures.by_name(["a"].into_iter(), ["b", "c", "d", "e", "f", "g"].into_iter());
        assert!(found.len() == 7 && found["a"] == picture(0).png() && found["g"] == picture(6).png());
    }
}
