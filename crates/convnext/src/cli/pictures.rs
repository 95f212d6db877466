//! The pictures that a command is told to read: files, and folders and archives of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use convnext::data::{Dataset, Orientation, Picture, decode, open_unlabelled};

/// Pictures in the order of the command line, none of them read yet.
pub(crate) struct Pictures {
    sources: Vec<Source>,
    channels: usize,
    orientation: Orientation,
}

/// Where one picture is.
enum Source {
    File(PathBuf),
    Member { collection: Rc<Dataset>, index: usize },
}

impl Pictures {
    /// Looks into the folders and archives among the paths, for pictures of so many channels.
    pub(crate) fn find(paths: &[PathBuf], channels: usize, orientation: Orientation) -> anyhow::Result<Self> {
        let mut sources = Vec::new();
        for path in paths {
            if path.is_dir() || is_archive(path) {
                let collection = Rc::new(open_unlabelled(path)?);
                let member = |index| Source::Member { collection: collection.clone(), index };
                sources.extend((0..collection.len()).map(member));
            } else {
                sources.push(Source::File(path.clone()));
            }
        }
        Ok(Self { sources, channels, orientation })
    }

    /// What each picture is called: its path, and in an archive the archive's and its own.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.sources.iter().map(Source::name)
    }

    /// Reads the pictures one after the other.
    pub(crate) fn read(&self) -> impl Iterator<Item = anyhow::Result<(String, Picture)>> {
        self.sources.iter().map(|source| Ok((source.name(), source.read(self.channels, self.orientation)?)))
    }
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Member { collection, index } => collection.name(*index).to_owned(),
        }
    }

    fn read(&self, channels: usize, orientation: Orientation) -> anyhow::Result<Picture> {
        match self {
            Self::File(path) => {
                let name = self.name();
                let bytes = fs::read(path).map_err(|error| {
                    anyhow::anyhow!(
                        "cannot read {name}: {error}; check that the path is right and the file readable"
                    )
                })?;
                Ok(decode(&bytes, &name, channels, orientation)?)
            }
            Self::Member { collection, index } => Ok(collection.picture(*index, channels, orientation)?),
        }
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}
