//! From the name of a model to its files in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use convnext_io::{IoError, PackageConfig};

use crate::cache::RepositoryCache;
use crate::client::{Backoff, Client, Located, Remote};
use crate::download::Download;
use crate::error::HubError;
use crate::model::{HubModel, WEIGHT_FILES, is_commit};
use crate::released::RELEASED;
use crate::settings::HubSettings;

/// Configuration file of the weights, by timm or transformers.
const CONFIG_FILE: &str = "config.json";

/// Configuration file of the preprocessing, by transformers.
const PREPROCESSOR_FILE: &str = "preprocessor_config.json";

/// A model of the hub that is on this machine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fetched {
    /// The file of the weights, in the cache; what describes them in the repository lies beside it.
    pub weights: PathBuf,
    /// `true` if the weights or what describes them were downloaded by this call: the time to show the licence. A call
    /// whose description failed after the weights had come showed none.
    pub downloaded: bool,
    /// The licence of the weights: that of [`RELEASED`], else what the repository says.
    pub licence: Option<String>,
}

/// Brings the weights of a model and their description into the cache, and says where they are.
///
/// The hub is asked which commit the revision means, and only what is not in the cache yet is downloaded. Without
/// an answer of the hub, the commit that it meant last is taken, if it is in the cache, with what describes it there;
/// a warning says what could not be asked for. An interrupted download goes on where it stopped, in this call or the
/// next. `progress` gets the bytes of the weights that are there and those of the whole file, which are 0 if the
/// server does not tell.
///
/// # Errors
/// Every [`HubError`] but those for names and settings; each says what to do.
pub fn fetch(
    model: &HubModel,
    settings: &HubSettings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Fetched, HubError> {
    let snapshot = Snapshot {
        model,
        settings,
        client: Client::new(settings),
        cache: RepositoryCache::new(&settings.cache, model.repository()),
    };
    let weights = snapshot.weights(progress)?;
    let Description { licence: stated, downloaded: is_description_new } = snapshot.describe(&weights)?;
    let released = RELEASED.iter().find(|released| released.repository == model.repository());
    let licence = released.map(|released| released.licence.to_owned()).or(stated);
    let Weights { path, downloaded, .. } = weights;
    Ok(Fetched { weights: path, downloaded: downloaded || is_description_new, licence })
}

/// Everything for one call of [`fetch`].
struct Snapshot<'a> {
    model: &'a HubModel,
    settings: &'a HubSettings,
    client: Client<'a>,
    cache: RepositoryCache<'a>,
}

struct Weights {
    path: PathBuf,
    commit: String,
    downloaded: bool,
    /// `false` if the hub does not answer or must not be asked.
    online: bool,
}

/// What the files beside the weights say.
#[derive(Default)]
struct Description {
    licence: Option<String>,
    /// `true` if any of them was downloaded by this call.
    downloaded: bool,
}

impl Snapshot<'_> {
    fn weights(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Weights, HubError> {
        let cached = self.cached_weights();
        if self.settings.offline {
            return cached.ok_or_else(|| HubError::NotCached {
                model: self.model.clone(),
                cache: self.settings.cache.clone(),
            });
        }
        let found = match cached {
            // A commit never changes.
            Some(cached) if is_commit(self.model.revision()) => {
                return Ok(Weights { online: true, ..cached });
            }
            Some(cached) => match self.locate_weights() {
                Err(error) if error.is_no_answer() => return Ok(cached),
                found => found?,
            },
            None => self.patiently(|| self.locate_weights())?,
        };
        let (file, remote) = found.ok_or_else(|| HubError::NoWeights { model: self.model.clone() })?;
        let (path, downloaded) = self.obtain(file, &remote, progress)?;
        self.cache.note_commit(self.model.revision(), &remote.commit);
        Ok(Weights { path, commit: remote.commit, downloaded, online: true })
    }

    /// The weights of the commit that the revision meant last.
    fn cached_weights(&self) -> Option<Weights> {
        let commit = self.cache.commit_of(self.model.revision())?;
        let path = WEIGHT_FILES.iter().find_map(|file| self.cache.find(&commit, file))?;
        Some(Weights { path, commit, downloaded: false, online: false })
    }

    fn locate_weights(&self) -> Result<Option<(&'static str, Remote)>, HubError> {
        for file in WEIGHT_FILES {
            if let Located::File(remote) = self.client.locate(self.model, self.model.revision(), file)? {
                return Ok(Some((file, remote)));
            }
        }
        Ok(None)
    }

    /// A small file beside the weights, if the repository has it; `true` if it was downloaded. Weights that were in the
    /// cache already are used without it where the hub does not answer.
    fn beside(&self, weights: &Weights, file: &str) -> Result<Option<(PathBuf, bool)>, HubError> {
        let Weights { commit, downloaded, online, .. } = weights;
        if let Some(path) = self.cache.find(commit, file) {
            return Ok(Some((path, false)));
        }
        if !online || self.cache.lacks(commit, file) {
            return Ok(None);
        }
        match self.bring(commit, file) {
            Err(error) if !downloaded && error.is_no_answer() => {
                let model = self.model;
                log::warn!("{model} is used as it is in the cache, without a {file}: {error}");
                Ok(None)
            }
            brought => brought,
        }
    }

    /// Downloads a small file of a commit, if the repository has it; `true` if it was not here.
    fn bring(&self, commit: &str, file: &str) -> Result<Option<(PathBuf, bool)>, HubError> {
        let remote = match self.patiently(|| self.client.locate(self.model, commit, file))? {
            Located::File(remote) => remote,
            Located::NoEntry => {
                self.cache.note_absence(commit, file);
                return Ok(None);
            }
            // It may have been a server in between, whose word must not hold for ever.
            Located::NotFound => return Ok(None),
        };
        // As asked for: a commit means itself.
        let remote = Remote { commit: commit.to_owned(), ..remote };
        self.obtain(file, &remote, &mut |_, _| ()).map(Some)
    }

    /// Brings the files that describe the weights into the cache.
    fn describe(&self, weights: &Weights) -> Result<Description, HubError> {
        let Some((file, mut downloaded)) = self.beside(weights, CONFIG_FILE)? else {
            return Ok(Description::default());
        };
        let Some(config) = read_config(&file)? else { return Ok(Description { licence: None, downloaded }) };
        // timm says everything in one file, transformers in two.
        if config.mean.is_none()
            && let Some((_, is_new)) = self.beside(weights, PREPROCESSOR_FILE)?
        {
            downloaded |= is_new;
        }
        Ok(Description { licence: config.licence, downloaded })
    }

    /// Downloads a file unless it is here; `true` if it was downloaded.
    fn obtain(
        &self,
        file: &str,
        remote: &Remote,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(PathBuf, bool), HubError> {
        if let Some(path) = self.cache.find(&remote.commit, file) {
            return Ok((path, false));
        }
        self.cache.prepare()?;
        let lock = self.cache.lock(&remote.checksum)?;
        // Another process may have been faster, or another commit may hold the same content.
        let missing = !self.cache.blob(&remote.checksum).is_file();
        if missing {
            self.download(file, remote, lock.as_ref(), progress)?;
        }
        Ok((self.cache.link(&remote.commit, file, &remote.checksum)?, missing))
    }

    /// Downloads the content of a file to its place among the blobs, under a lock where there are locks.
    fn download(
        &self,
        file: &str,
        remote: &Remote,
        lock: Option<&File>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), HubError> {
        let place = self.cache.unfinished(&remote.checksum, lock);
        let download = Download { client: &self.client, model: self.model, file, remote, place: &place };
        download.run(progress).inspect_err(|_| self.cache.leave(&remote.checksum, &place))?;
        let blob = self.cache.blob(&remote.checksum);
        fs::rename(&place, &blob).map_err(HubError::cache(&blob))
    }

    /// Asks again while the hub answers that it has trouble.
    fn patiently<T>(&self, ask: impl Fn() -> Result<T, HubError>) -> Result<T, HubError> {
        let mut backoff = Backoff::new(self.settings.retry);
        loop {
            match ask() {
                Err(error) if error.may_pass() => backoff.wait(error)?,
                result => return result,
            }
        }
    }
}

/// `None` for a description that cannot be understood, which keeps nobody from the weights.
fn read_config(file: &Path) -> Result<Option<PackageConfig>, HubError> {
    match PackageConfig::read(file, None) {
        Ok(config) => Ok(Some(config)),
        Err(IoError::Read { path, source }) => Err(HubError::cache(path)(source)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Fault, TestHub, model};

    /// Bug: on file systems without locks, two processes wrote to one unfinished file, and the slower one could empty what
    /// the faster one had checked and made a blob.
    #[test]
    fn without_locks_no_other_process_writes_to_a_blob() {
        let folder = tempfile::tempdir().unwrap();
        let hub = TestHub::start().with_file("model.safetensors", b"weights");
        let mut settings = hub.settings(folder.path());
        settings.retry.retries = 0;
        let model = model("me/net");
        let client = Client::new(&settings);
        let cache = RepositoryCache::new(&settings.cache, model.repository());
        let snapshot = Snapshot { model: &model, settings: &settings, client, cache };
        snapshot.cache.prepare().unwrap();
        let (file, remote) = snapshot.locate_weights().unwrap().unwrap();
        let slower = File::create(snapshot.cache.unfinished(&remote.checksum, None)).unwrap();
        let download = || snapshot.download(file, &remote, None, &mut |_, _| ());
        hub.spoil_bytes(&[Fault::Cut(3)]);
        download().unwrap_err();
        download().unwrap();
        // What had arrived was not asked for again.
        assert_eq!(hub.ranges(), ["", "bytes=3-"]);
        slower.set_len(0).unwrap();
        assert_eq!(fs::read(snapshot.cache.blob(&remote.checksum)).unwrap(), b"weights");
    }
}
