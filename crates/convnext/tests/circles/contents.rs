//! What a module imports and names, from its text.

use std::collections::BTreeSet;

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItem, Item, Macro, Token, UseTree, Visibility, token};

/// A path as its names.
pub(crate) type Names = Vec<String>;

/// `true` if an attribute leaves something to tests.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let only =
            attribute.path().is_ident("cfg") && attribute.parse_args::<Ident>().is_ok_and(|of| of == "test");
        only || attribute.path().is_ident("test")
    })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// What is imported and named in a module, within its functions too.
#[derive(Default)]
pub(crate) struct Contents {
    /// What `use` brings here, and under which name; a glob has none.
    pub(crate) imports: Vec<(Option<String>, Names)>,
    /// Paths in the code, of one name or several.
    pub(crate) paths: BTreeSet<Names>,
}

impl Contents {
    fn import(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                self.imports.push((before.last().cloned(), before.to_vec()));
            }
            UseTree::Name(name) => self.imports.push((Some(name.ident.to_string()), with(&name.ident))),
            UseTree::Rename(name) => self.imports.push((Some(name.rename.to_string()), with(&name.ident))),
            UseTree::Glob(_) => self.imports.push((None, before.to_vec())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(before, tree)),
        }
    }
}

impl Visit<'_> for Contents {
    fn visit_item(&mut self, item: &Item) {
        match item {
            _ if is_test(attributes(item)) => {}
            // A module of its own.
            Item::Mod(_) => {}
            Item::Use(item) => {
                let known = self.imports.len();
                self.import(&[], &item.tree);
                // A trait may be used by its methods alone. What is handed on is not used here.
                if matches!(item.vis, Visibility::Inherited) {
                    let named = self.imports[known..].iter().filter(|(name, _)| name.is_some());
                    self.paths.extend(named.map(|(_, path)| path.clone()));
                }
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Fn(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        self.paths.insert(names(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &Macro) {
        self.visit_path(&call.path);
        self.paths.extend(call.parse_body::<Paths>().unwrap().0);
    }

    fn visit_attribute(&mut self, attribute: &Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.paths.extend(list.parse_args::<Paths>().unwrap().0);
        }
    }
}

fn names(path: &syn::Path) -> Names {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// All paths in the tokens of a macro or an attribute, also in a string such as `serde`'s.
struct Paths(BTreeSet<Names>);

impl Parse for Paths {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut found = BTreeSet::new();
        while !input.is_empty() {
            let inner;
            if input.peek(token::Paren) {
                syn::parenthesized!(inner in input);
                found.extend(inner.parse::<Self>()?.0);
            } else if input.peek(token::Bracket) {
                syn::bracketed!(inner in input);
                found.extend(inner.parse::<Self>()?.0);
            } else if input.peek(token::Brace) {
                syn::braced!(inner in input);
                found.extend(inner.parse::<Self>()?.0);
            } else if input.peek(syn::LitStr) {
                found.extend(input.parse::<syn::LitStr>()?.parse::<syn::Path>().ok().as_ref().map(names));
            } else if input.peek(Token![.]) {
                // What follows is a field or a method.
                input.parse::<Token![.]>()?;
                if input.peek(Ident::peek_any) {
                    input.call(Ident::parse_any)?;
                }
            } else if let Ok(path) = input.call(mod_style) {
                found.insert(path);
            } else {
                input.step(|cursor| match cursor.token_tree() {
                    Some((_, rest)) => Ok(((), rest)),
                    None => Err(cursor.error("no token is left")),
                })?;
            }
        }
        Ok(Self(found))
    }
}

/// A path without generics, if one is next.
fn mod_style(input: ParseStream<'_>) -> syn::Result<Names> {
    let path = input.fork().call(syn::Path::parse_mod_style)?;
    input.call(syn::Path::parse_mod_style)?;
    Ok(names(&path))
}
