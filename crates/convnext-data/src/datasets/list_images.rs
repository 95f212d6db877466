//! The images of a folder or an archive.

use std::{fs, path::Path};

use crate::datasets::listing::Listing;
use crate::datasets::{archive, folder};
use crate::error::DataError;

/// Lists a folder, a `.tar` or a compressed `.tar`, and warns of files that are no images and have no other use.
pub(crate) fn list_images(path: &Path) -> Result<Listing, DataError> {
    list_images_beside(path, &[])
}

/// As [`list_images`] of images beside which files of these extensions have their use.
pub(crate) fn list_images_beside(path: &Path, useful: &[&str]) -> Result<Listing, DataError> {
    let root = path.display().to_string();
    let metadata = fs::metadata(path).map_err(|source| DataError::io("open", &root, source))?;
    let mut listing = if metadata.is_dir() { folder::list(path, root)? } else { archive::list(path, root)? };
    // Samples are numbered with 32 bits.
    let (count, most) = (listing.images.len(), u32::MAX as usize);
    DataError::check(count < most, "number of images", count, "below 4294967295")?;
    listing.images.shrink();
    listing.check_not_mixed()?;
    // A folder with neither is no data set, and says so.
    let holds_images = listing.images.len() > 0 || !listing.archives.is_empty();
    if holds_images && let Some(others) = listing.others.without(useful).summary() {
        log::warn!("{}: {others}", listing.root);
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.images.iter().collect()
    }

    #[test]
    fn images_are_found_in_order_and_hidden_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["b/2.PNG", "b/10.jpeg", "a.Tiff", ".hidden.png", "__MACOSX/x.png", ".git/x.png", "notes.txt"]
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let listing = list_images(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["a.Tiff", "b/10.jpeg", "b/2.PNG"]);
        assert!(listing.name("b/2.PNG").ends_with("/b/2.PNG"));
        assert_eq!(listing.folders.into_iter().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn the_order_is_that_of_whole_paths() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = ["a/1.png", "a-b/1.png", "a.png", "a0.png", "a/b/1.png", "a/b.png", "A/1.png"];
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        files.sort_unstable();
        assert_eq!(paths(&list_images(folder.path()).unwrap()), files);
    }

    #[test]
    fn missing_and_empty_sources_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let message = list_images(folder.path()).unwrap().with_images().unwrap_err().to_string();
        assert!(message.contains("no images found under") && message.contains(".webp"), "{message}");
        let message = list_images(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(message.contains("cannot open") && message.contains("gone"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_followed_but_never_in_circles() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(folder.path().join("real/1.png"), "").unwrap();
        symlink(folder.path(), folder.path().join("real/loop")).unwrap();
        symlink(folder.path().join("real"), folder.path().join("linked")).unwrap();
        symlink(folder.path().join("nowhere"), folder.path().join("broken.png")).unwrap();
        let listing = list_images(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["broken.png", "linked/1.png", "real/1.png"]);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_sockets_and_devices_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file.png"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket.png")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("device.png")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("device.tar")).unwrap();
        let listing = list_images(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["file.png"]);
        assert!(listing.archives.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn folders_that_are_called_alike_without_unicode_are_not_one_class() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().unwrap();
        for name in [&b"caf\xe9"[..], b"caf\xe8", b"tea"] {
            let class = folder.path().join(OsStr::from_bytes(name));
            fs::create_dir(&class).unwrap();
            fs::write(class.join("1.png"), "").unwrap();
        }
        let message = list_images(folder.path()).unwrap_err().to_string();
        assert!(message.contains("'caf\u{fffd}' alike") && message.contains("rename them"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_unicode_are_read_under_a_similar_name() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9.png")), "bytes").unwrap();
        let listing = list_images(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["caf\u{fffd}.png"]);
        assert_eq!(listing.storage.read(&listing.images, 0).unwrap(), b"bytes");

        // Below a folder without a Unicode name, and in the order of the names that are shown.
        let inner = folder.path().join(OsStr::from_bytes(b"\xe9"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("1.png"), "inner").unwrap();
        fs::write(folder.path().join("z.png"), "z").unwrap();
        let listing = list_images(folder.path()).unwrap();
        assert_eq!(paths(&listing), ["caf\u{fffd}.png", "z.png", "\u{fffd}/1.png"]);
        let contents: Vec<Vec<u8>> =
            (0..3).map(|index| listing.storage.read(&listing.images, index).unwrap()).collect();
        assert_eq!(contents, [&b"bytes"[..], b"z", b"inner"]);
    }
}
