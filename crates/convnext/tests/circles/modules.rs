//! The modules of a crate: what each defines, imports and names, and which file defines what a path means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::Item;
use syn::visit::Visit;

use crate::contents::{Contents, Names, attributes, is_test};

/// An import that is being followed: module, place in its list, and the name that is looked for.
type Import = (usize, usize, String);

/// A module: a file, or a part of one in braces.
pub(crate) struct Module {
    /// Place in the list of files.
    pub(crate) file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    /// Those of the items that other names can follow, as in `Type::new`.
    types: BTreeSet<String>,
    contents: Contents,
}

impl Module {
    /// Paths in the code, of one name or several.
    pub(crate) fn paths(&self) -> &BTreeSet<Names> {
        &self.contents.paths
    }
}

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    /// A module, which alone is no use of its file.
    Module(usize),
    /// An item, by the file that defines it.
    Item(usize, String),
}

/// All modules of a crate but those for tests.
#[derive(Default)]
pub(crate) struct Modules {
    /// The files, the root first.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) modules: Vec<Module>,
}

impl Modules {
    /// Reads a crate from its root on.
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = Self::default();
        modules.add_file(root, root.parent().unwrap(), None);
        modules
    }

    fn add_file(&mut self, file: &Path, folder: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.files.push(file.to_owned());
        self.add(self.files.len() - 1, folder, parent, &parsed.items)
    }

    /// A module whose submodules lie in `folder`.
    fn add(&mut self, file: usize, folder: &Path, parent: Option<usize>, items: &[Item]) -> usize {
        let mut contents = Contents::default();
        items.iter().for_each(|item| contents.visit_item(item));
        let this = self.modules.len();
        let items = items.iter().filter(|item| !is_test(attributes(item)));
        let names = items.clone().filter_map(name_of).collect();
        let types = items.clone().filter(|item| is_type(item)).filter_map(name_of).collect();
        let children = BTreeMap::new();
        self.modules.push(Module { file, parent, children, items: names, types, contents });
        for item in items {
            if let Item::Mod(module) = item {
                let name = module.ident.to_string();
                let inner = folder.join(&name);
                let child = match &module.content {
                    Some((_, items)) => self.add(file, &inner, Some(this), items),
                    None => self.add_file(&file_of(folder, &name), &inner, Some(this)),
                };
                self.modules[this].children.insert(name, child);
            }
        }
        this
    }

    /// Everything that a path in a module stands for: a name can be of a module and of a function.
    /// What lies in other crates stands for nothing.
    pub(crate) fn meanings(&self, module: usize, path: &[String]) -> BTreeSet<Meaning> {
        self.resolve(module, path, &mut Vec::new())
    }

    fn resolve(&self, module: usize, path: &[String], within: &mut Vec<Import>) -> BTreeSet<Meaning> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::from([Meaning::Module(module)]);
        };
        match first.as_str() {
            "crate" => self.resolve(0, rest, within),
            "self" => self.resolve(module, rest, within),
            "super" => {
                let parent = self.modules[module].parent;
                parent.map(|parent| self.resolve(parent, rest, within)).unwrap_or_default()
            }
            name => self.resolve_name(module, name, rest, within),
        }
    }

    fn resolve_name(
        &self,
        module: usize,
        name: &str,
        rest: &[String],
        within: &mut Vec<Import>,
    ) -> BTreeSet<Meaning> {
        let here = &self.modules[module];
        let mut found = BTreeSet::new();
        let items = if rest.is_empty() { &here.items } else { &here.types };
        if items.contains(name) {
            found.insert(Meaning::Item(here.file, name.to_owned()));
        }
        if let Some(child) = here.children.get(name) {
            found.extend(self.resolve(*child, rest, within));
        }
        for (place, (import, path)) in here.contents.imports.iter().enumerate() {
            let named: &[String] = match import {
                Some(import) if import == name => &[],
                Some(_) => continue,
                None => &[name.to_owned()],
            };
            let this = (module, place, name.to_owned());
            // An import does not mean itself, as in `use bf16::bf16`.
            if !within.contains(&this) {
                within.push(this);
                found.extend(self.resolve(module, &[path, named, rest].concat(), within));
                within.pop();
            }
        }
        found
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let alone = folder.join(name).with_extension("rs");
    if alone.is_file() { alone } else { folder.join(name).join("mod.rs") }
}

fn is_type(item: &Item) -> bool {
    matches!(item, Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_))
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}
