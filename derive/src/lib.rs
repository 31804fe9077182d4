//! `#[derive(Input)]`: a struct says what a body or a query has, and this reads it and documents it.
//! [`#[derive(Columns)]`](Columns): a struct says which columns of a table are read.
//!
//! ```text
//! /// What a product is created from.
//! #[derive(Clone, Debug, Input)]
//! #[input(schema = ProductBody, patch = Changes as ProductPatch)]
//! pub struct Details {
//!     /// The name.
//!     pub name: ProductName,        // required
//!     /// The stock keeping unit.
//!     pub sku: Option<Sku>,         // may be missing or null
//! }
//! ```
//!
//! The doc comments are the descriptions in the API's document. What the struct says:
//!
//! * `schema = ProductBody`: the name of its schema. Without one the struct's own name is taken.
//! * `patch = Changes as ProductPatch`: makes a second struct, `Changes`, whose fields may all be missing and
//!   stay as they are then (RFC 7396), and `From<Details> for Changes`: a PUT is the patch with every field.
//!   `TryFrom<Changes> for Details` is the way back; it fails with the names of the fields that are missing.
//! * `may_be_missing`: the body need not be sent at all.
//! * `check = function`: a rule that is about several fields, asked after they have been read.
//!
//! What a field says:
//!
//! * `items = 1..=100`: it is a list of another input, with that many elements. An `Option` of a list stays as it is
//!   when it is missing, and cannot be `null`.
//! * `values = 1..=50`: it is a list of values of one type, with that many elements.
//! * `change`: it stays as it is when it is missing, and cannot be `null`. In the patch it is the same.
//! * `clearable`: an `Option<Option<…>>`: missing and `null` are two things. In the patch it is the same.
//! * `nested`: it is another input, or an `Option` of one. In an `Option<Option<…>>` missing and `null` are two things.
//! * `flatten`: its own fields stand among those of the struct.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, GenericArgument, Lit, Meta,
    Path, PathArguments, Result, Token, Type, ext::IdentExt, parse_macro_input, spanned::Spanned,
};

/// Reads and documents a struct with named fields. See the crate's own page.
#[proc_macro_derive(Input, attributes(input))]
pub fn input(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    expand(&item)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Reads some columns of a table: those that the fields are named after. Its `Entity`, `Column` and `Model`
/// have to be in scope.
///
/// The columns are read by their places, which takes half as long as by their names. `select` says that they
/// are what a query selects first. A whole row can be made into the struct, too.
#[proc_macro_derive(Columns)]
pub fn columns(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    read_columns(&item)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// What is said of the struct.
#[derive(Default)]
struct Options {
    schema: Option<Ident>,
    patch: Option<(Ident, Ident)>,
    may_be_missing: bool,
    check: Option<Path>,
}

/// How one field is read and documented.
struct Member<'a> {
    name: &'a Ident,
    docs: Vec<&'a Attribute>,
    read: TokenStream,
    properties: TokenStream,
}

fn expand(item: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &item.data else {
        return Err(Error::new(item.span(), "only a struct can be an input"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(item.span(), "an input has named fields"));
    };
    let options = options(item)?;
    let members = fields
        .named
        .iter()
        .map(member)
        .collect::<Result<Vec<_>>>()?;
    let schema = options.schema.as_ref().unwrap_or(&item.ident);
    let description = description(&item.attrs);
    let whole = implement(&item.ident, schema, &description, &options, &members);
    let patch = match &options.patch {
        None => TokenStream::new(),
        Some((name, schema)) => patch(item, name, schema, fields.named.iter())?,
    };
    Ok(quote!(#whole #patch))
}

fn read_columns(item: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &item.data else {
        return Err(Error::new(item.span(), "only a struct can be read"));
    };
    let of = &item.ident;
    let fields = data.fields.iter().map(named).collect::<Result<Vec<_>>>()?;
    let columns = fields.iter().map(|field| variant(field));
    let places = 0..fields.len();
    Ok(quote! {
        impl #of {
            fn select(rows: ::sea_orm::Select<Entity>) -> ::sea_orm::Select<Entity> {
                ::sea_orm::QuerySelect::columns(
                    ::sea_orm::QuerySelect::select_only(rows),
                    [#(Column::#columns),*],
                )
            }
        }

        impl ::sea_orm::FromQueryResult for #of {
            fn from_query_result(
                row: &::sea_orm::QueryResult,
                _: &str,
            ) -> ::core::result::Result<Self, ::sea_orm::DbErr> {
                ::core::result::Result::Ok(Self {
                    #(#fields: row.try_get_by_index(#places)?,)*
                })
            }
        }

        impl ::core::convert::From<Model> for #of {
            fn from(row: Model) -> Self {
                Self { #(#fields: row.#fields,)* }
            }
        }
    })
}

/// `PriceMinor` of `price_minor`.
fn variant(field: &Ident) -> Ident {
    let mut name = String::new();
    for word in field.to_string().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    Ident::new(&name, field.span())
}

/// The struct whose fields may all be missing.
fn patch<'a>(
    item: &DeriveInput,
    name: &Ident,
    schema: &Ident,
    fields: impl Iterator<Item = &'a Field>,
) -> Result<TokenStream> {
    let (of, visibility) = (&item.ident, &item.vis);
    let fields: Vec<_> = fields.collect();
    let members = fields
        .iter()
        .map(|field| changed(field))
        .collect::<Result<Vec<_>>>()?;
    let declared = members.iter().zip(&fields).map(|(member, field)| {
        let (name, docs, kind, visibility) = (member.name, &member.docs, &field.ty, &field.vis);
        if says(field, &STAY) {
            return quote!(#(#docs)* #visibility #name: #kind);
        }
        quote!(#(#docs)* #visibility #name: ::core::option::Option<#kind>)
    });
    let (clearable, plain): (Vec<&Field>, Vec<&Field>) =
        fields.iter().partition(|field| says(field, &STAY));
    let clearable: Vec<_> = clearable.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = plain.iter().map(|field| &field.ident).collect();
    let (optional, required): (Vec<&Field>, Vec<_>) = plain
        .iter()
        .partition(|field| argument(&field.ty, "Option").is_some());
    let optional: Vec<_> = optional.iter().map(|field| &field.ident).collect();
    let required: Vec<_> = required
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .collect();
    let required_names = required.iter().map(ToString::to_string);
    let doc = "What is to change. A field that is missing stays as it is.";
    let read = implement(name, schema, doc, &Options::default(), &members);
    Ok(quote! {
        #[doc = #doc]
        #[derive(Clone, Debug, Default)]
        #visibility struct #name { #(#declared,)* }

        impl ::core::convert::From<#of> for #name {
            fn from(whole: #of) -> Self {
                Self {
                    #(#names: ::core::option::Option::Some(whole.#names),)*
                    #(#clearable: whole.#clearable,)*
                }
            }
        }

        impl ::core::convert::TryFrom<#name> for #of {
            type Error = ::std::vec::Vec<&'static str>;

            fn try_from(changes: #name) -> ::core::result::Result<Self, Self::Error> {
                let missing: ::std::vec::Vec<_> = [#((#required_names, changes.#required.is_none()),)*]
                    .into_iter()
                    .filter_map(|(name, is_missing): (&'static str, bool)| is_missing.then_some(name))
                    .collect();
                #(
                    let ::core::option::Option::Some(#required) = changes.#required else {
                        return ::core::result::Result::Err(missing);
                    };
                )*
                ::core::result::Result::Ok(Self {
                    #(#required,)*
                    #(#optional: changes.#optional.flatten(),)*
                    #(#clearable: changes.#clearable,)*
                })
            }
        }

        #read
    })
}

/// The traits by which it is read and documented.
fn implement(
    name: &Ident,
    schema: &Ident,
    description: &str,
    options: &Options,
    members: &[Member<'_>],
) -> TokenStream {
    let schema = schema.to_string();
    let may_be_missing = options.may_be_missing;
    let check = options
        .check
        .as_ref()
        .map(|check| quote!(#check(__fields);));
    let read = members
        .iter()
        .map(|Member { name, read, .. }| quote!(let #name = #read;));
    let names = members.iter().map(|member| member.name);
    let properties = members.iter().map(|member| &member.properties);
    quote! {
        impl crate::models::input::Input for #name {
            const NAME: &'static str = #schema;
            const DESCRIPTION: &'static str = #description;
            const MAY_BE_MISSING: bool = #may_be_missing;

            fn properties() -> ::std::vec::Vec<crate::models::input::Property> {
                let mut __properties = ::std::vec::Vec::new();
                #(__properties.extend(#properties);)*
                __properties
            }

            fn read(__fields: &mut crate::models::input::Fields<'_>) -> ::core::option::Option<Self> {
                #(#read)*
                #check
                ::core::option::Option::Some(Self { #(#names: #names?,)* })
            }
        }

        impl ::utoipa::PartialSchema for #name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                crate::models::input::object::<Self>()
            }
        }

        impl ::utoipa::ToSchema for #name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(#schema)
            }

            fn schemas(
                schemas: &mut ::std::vec::Vec<(
                    ::std::string::String,
                    ::utoipa::openapi::RefOr<::utoipa::openapi::Schema>,
                )>,
            ) {
                crate::models::input::named_schemas::<Self>(schemas);
            }
        }
    }
}

fn member(field: &Field) -> Result<Member<'_>> {
    let (name, kind) = (named(field)?, &field.ty);
    let (text, docs) = (name.unraw().to_string(), docs(&field.attrs));
    let about = description(&field.attrs);
    let mut read = quote!(<#kind as crate::models::input::Field>::read(__fields, #text));
    let mut properties = quote!([<#kind as crate::models::input::Field>::property(#text, #about)]);
    parse_attributes(&field.attrs, |meta| {
        if meta.path.is_ident("flatten") {
            read = quote!(<#kind as crate::models::input::Input>::read(__fields));
            properties = quote!(<#kind as crate::models::input::Input>::properties());
        } else if meta.path.is_ident("nested") {
            let inner = argument(kind, "Option");
            let cleared = inner.and_then(|inner| argument(inner, "Option"));
            (read, properties) = match (inner, cleared) {
                (_, Some(inner)) => (
                    quote!(__fields.nested_change::<#inner>(#text)),
                    quote!([crate::models::input::Property::nested_change::<#inner>(#text, #about)]),
                ),
                (Some(inner), None) => (
                    quote!(__fields.nested_or_null::<#inner>(#text)),
                    quote!([crate::models::input::Property::nested::<#inner>(#text, #about, false)]),
                ),
                (None, None) => (
                    quote!(__fields.nested::<#kind>(#text)),
                    quote!([crate::models::input::Property::nested::<#kind>(#text, #about, true)]),
                ),
            };
        } else if meta.path.is_ident("items") {
            let count: Expr = meta.value()?.parse()?;
            let list = argument(kind, "Option");
            let (required, list) = (list.is_none(), list.unwrap_or(kind));
            let element = argument(list, "Vec").ok_or_else(|| {
                Error::new(
                    kind.span(),
                    "a list of inputs is a Vec, or an Option of one",
                )
            })?;
            read = if required {
                quote!(__fields.each(#text, #count))
            } else {
                quote!(__fields.change_each(#text, #count))
            };
            properties = quote!([crate::models::input::Property::list::<#element>(
                #text, #about, #count, #required
            )]);
        } else if meta.path.is_ident("values") {
            let count: Expr = meta.value()?.parse()?;
            let value = value_of(kind)?;
            read = quote!(__fields.values(#text, #count));
            properties = quote!([crate::models::input::Property::values::<#value>(
                #text, #about, #count, true
            )]);
        } else if meta.path.is_ident("clearable") {
            let inner = argument(kind, "Option").and_then(|inner| argument(inner, "Option"));
            let inner = inner.ok_or_else(|| {
                Error::new(
                    kind.span(),
                    "a field that `null` clears is an Option<Option<…>>",
                )
            })?;
            read = quote!(__fields.clearable::<#inner>(#text));
            properties =
                quote!([crate::models::input::Property::clearable::<#inner>(#text, #about)]);
        } else if meta.path.is_ident("change") {
            let inner = argument(kind, "Option")
                .ok_or_else(|| Error::new(kind.span(), "a field that may stay is an Option"))?;
            read = quote!(__fields.change::<#inner>(#text));
            properties = quote!([crate::models::input::Property::change::<#inner>(#text, #about)]);
        } else {
            return Err(meta.error(
                "an input's field knows `items`, `values`, `change`, `clearable`, `nested` and `flatten`",
            ));
        }
        Ok(())
    })?;
    Ok(Member {
        name,
        docs,
        read,
        properties,
    })
}

/// A field of a patch: one that may be null is cleared by `null`, any other cannot be.
fn changed(field: &Field) -> Result<Member<'_>> {
    if says(field, &STAY) {
        return member(field);
    }
    if says(field, &["items", "nested", "flatten"]) {
        return Err(Error::new(
            field.span(),
            "lists of inputs, nested and flattened inputs have no patch",
        ));
    }
    let name = named(field)?;
    let (text, about) = (name.unraw().to_string(), description(&field.attrs));
    let mut count: Option<Expr> = None;
    parse_attributes(&field.attrs, |meta| {
        count = Some(meta.value()?.parse()?);
        Ok(())
    })?;
    if let Some(count) = count {
        let value = value_of(&field.ty)?;
        return Ok(Member {
            name,
            docs: docs(&field.attrs),
            read: quote!(__fields.change_values(#text, #count)),
            properties: quote!([crate::models::input::Property::values::<#value>(
                #text, #about, #count, false
            )]),
        });
    }
    let (method, kind) = match argument(&field.ty, "Option") {
        Some(inner) => (format_ident!("clearable"), inner),
        None => (format_ident!("change"), &field.ty),
    };
    Ok(Member {
        name,
        docs: docs(&field.attrs),
        read: quote!(__fields.#method::<#kind>(#text)),
        properties: quote!([crate::models::input::Property::#method::<#kind>(#text, #about)]),
    })
}

/// What a field says that is the same in the patch.
const STAY: [&str; 2] = ["change", "clearable"];

/// Whether a field says one of those.
fn says(field: &Field, words: &[&str]) -> bool {
    let attributes = field.attrs.iter();
    let mut attributes = attributes.filter(|attribute| attribute.path().is_ident("input"));
    attributes.any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        let first = list.tokens.clone().into_iter().next();
        first.is_some_and(|first| words.contains(&&*first.to_string()))
    })
}

/// What a list of values is of.
fn value_of(kind: &Type) -> Result<&Type> {
    argument(kind, "Vec").ok_or_else(|| Error::new(kind.span(), "a list of values is a Vec"))
}

fn options(item: &DeriveInput) -> Result<Options> {
    let mut options = Options::default();
    parse_attributes(&item.attrs, |meta| {
        if meta.path.is_ident("schema") {
            options.schema = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("patch") {
            let value = meta.value()?;
            let name = value.parse()?;
            value.parse::<Token![as]>()?;
            options.patch = Some((name, value.parse()?));
        } else if meta.path.is_ident("may_be_missing") {
            options.may_be_missing = true;
        } else if meta.path.is_ident("check") {
            options.check = Some(meta.value()?.parse()?);
        } else {
            let known = "an input knows `schema`, `patch`, `may_be_missing` and `check`";
            return Err(meta.error(known));
        }
        Ok(())
    })?;
    Ok(options)
}

fn parse_attributes(
    attributes: &[Attribute],
    mut parse: impl FnMut(syn::meta::ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("input"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut parse))
}

fn named(field: &Field) -> Result<&Ident> {
    let missing = || Error::new(Span::call_site(), "an input has named fields");
    field.ident.as_ref().ok_or_else(missing)
}

fn docs(attributes: &[Attribute]) -> Vec<&Attribute> {
    let docs = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"));
    docs.collect()
}

/// The doc comment, as one text.
fn description(attributes: &[Attribute]) -> String {
    let lines = docs(attributes)
        .into_iter()
        .filter_map(|doc| match &doc.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// The `T` of an `Option<T>` or a `Vec<T>`.
fn argument<'a>(kind: &'a Type, outer: &str) -> Option<&'a Type> {
    let Type::Path(path) = kind else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == outer)?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(argument) => Some(argument),
            _ => None,
        },
        _ => None,
    }
}
