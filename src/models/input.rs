//! Inputs: what a body, a query or a row of a table has, said once.
//!
//! A struct that derives [`Input`] is read from what a client sent, is described by the API's document,
//! and can have a patch, all from the same lines:
//!
//! ```text
//! #[derive(Clone, Debug, Input)]
//! #[input(schema = ProductBody, patch = Changes as ProductPatch)]
//! pub struct Details {
//!     /// The name.
//!     pub name: ProductName,
//!     …
//! ```
//!
//! What a field may hold is said by its type, a [`Scalar`] or an `Option` of one.

mod fields;

use std::ops::RangeInclusive;

pub use boxcar_derive::Input;
use utoipa::{
    ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{
            AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type,
        },
    },
};

pub use self::fields::{Fields, MAX_ERRORS, from_cells, from_json, from_query};
use super::types::Scalar;

/// Something that is read from what a client sent. Derived.
pub trait Input: Sized {
    /// The name of its schema in the API's document.
    const NAME: &'static str;
    /// What it is, in the API's document.
    const DESCRIPTION: &'static str;
    /// Whether a body need not be sent at all: one without fields is meant then.
    const MAY_BE_MISSING: bool = false;

    /// Its fields, as the API's document shows them.
    fn properties() -> Vec<Property>;

    /// Reads it. `None` when a rule is broken, which has been noted.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// What one field of an input holds.
pub trait Field: Sized {
    /// Reads it. `None` when a rule is broken, which has been noted.
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self>;

    /// How the API's document shows it.
    fn property(name: &'static str, description: &'static str) -> Property;
}

/// A field that has to be there.
impl<T: Scalar> Field for T {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        fields.required(name)
    }

    fn property(name: &'static str, description: &'static str) -> Property {
        Property::of::<T>(name, description, true, false)
    }
}

/// A field that may be missing or `null`.
impl<T: Scalar> Field for Option<T> {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        fields.clearable(name).map(Option::flatten)
    }

    fn property(name: &'static str, description: &'static str) -> Property {
        Property::of::<T>(name, description, false, true)
    }
}

/// The body of a request that says nothing more than its path.
#[derive(Clone, Copy, Debug, Input)]
#[input(may_be_missing)]
pub struct NoBody {}

/// A field, as the API's document shows it.
#[derive(Clone)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    description: String,
    is_required: bool,
    schema: RefOr<Schema>,
    /// The schemas that it refers to, by name.
    named: Vec<(String, RefOr<Schema>)>,
}

impl Property {
    fn of<T: Scalar>(
        name: &'static str,
        description: impl Into<String>,
        is_required: bool,
        is_nullable: bool,
    ) -> Self {
        let description = description.into();
        let mut named = Vec::new();
        let schema = match (T::SCHEMA, T::schema()) {
            (Some(own), schema) => {
                named.push((own.to_owned(), schema.into()));
                refer_to(own, &description, is_nullable)
            }
            (None, Schema::Object(mut object)) => {
                object.description = Some(description.clone());
                if is_nullable {
                    object.schema_type = or_null(object.schema_type);
                }
                object.into()
            }
            (None, Schema::AnyOf(mut any_of)) => {
                any_of.description = Some(description.clone());
                RefOr::T(any_of.into())
            }
            (None, other) => other.into(),
        };
        Self {
            name,
            description,
            is_required,
            schema,
            named,
        }
    }

    /// A field of a patch that stays as it is when it is missing, and cannot be `null`.
    pub fn change<T: Scalar>(name: &'static str, description: &'static str) -> Self {
        Self::of::<T>(name, description, false, false)
    }

    /// A field of a patch that stays as it is when it is missing, and is cleared by `null`.
    pub fn clearable<T: Scalar>(name: &'static str, description: &'static str) -> Self {
        Self::of::<T>(name, clears(description), false, true)
    }

    /// Another input.
    pub fn nested<T: Input + ToSchema>(
        name: &'static str,
        description: &str,
        is_required: bool,
    ) -> Self {
        let mut named = vec![(T::NAME.to_owned(), T::schema())];
        named_schemas::<T>(&mut named);
        Self {
            name,
            description: description.to_owned(),
            is_required,
            schema: refer_to(T::NAME, description, !is_required),
            named,
        }
    }

    /// Another input in a patch: it stays as it is when it is missing, and is cleared by `null`.
    pub fn nested_change<T: Input + ToSchema>(
        name: &'static str,
        description: &'static str,
    ) -> Self {
        Self::nested::<T>(name, &clears(description), false)
    }

    /// A list of other inputs.
    pub fn list<T: Input + ToSchema>(
        name: &'static str,
        description: &'static str,
        count: RangeInclusive<usize>,
        is_required: bool,
    ) -> Self {
        let list = ArrayBuilder::new()
            .items(Ref::from_schema_name(T::NAME))
            .min_items(Some(*count.start()))
            .max_items(Some(*count.end()))
            .description(Some(description));
        let mut named = vec![(T::NAME.to_owned(), T::schema())];
        named_schemas::<T>(&mut named);
        Self {
            name,
            description: description.to_owned(),
            is_required,
            schema: list.into(),
            named,
        }
    }

    /// A list of values.
    pub fn values<T: Scalar>(
        name: &'static str,
        description: &'static str,
        count: RangeInclusive<usize>,
        is_required: bool,
    ) -> Self {
        let one = Self::of::<T>(name, description, is_required, false);
        let items = match T::SCHEMA {
            Some(own) => Ref::from_schema_name(own).into(),
            None => RefOr::T(T::schema()),
        };
        let list = ArrayBuilder::new()
            .items(items)
            .min_items(Some(*count.start()))
            .max_items(Some(*count.end()))
            .description(Some(description));
        Self {
            schema: list.into(),
            ..one
        }
    }

    /// The same, when it is a list that has nothing twice.
    #[must_use]
    pub const fn each_once(mut self) -> Self {
        if let RefOr::T(Schema::Array(list)) = &mut self.schema {
            list.unique_items = true;
        }
        self
    }

    /// The same, and what is meant when it is missing.
    #[must_use]
    pub fn with_default(mut self, value: impl Into<serde_json::Value>) -> Self {
        if let RefOr::T(Schema::Object(object)) = &mut self.schema {
            object.default = Some(value.into());
        }
        self
    }
}

/// What a field is that `null` clears.
fn clears(description: &str) -> String {
    format!("{description} `null` clears it.")
}

/// A reference to a schema of that name.
fn refer_to(name: &str, description: &str, is_nullable: bool) -> RefOr<Schema> {
    let reference = Ref::builder()
        .ref_location_from_schema_name(name)
        .description(Some(description).filter(|_| !is_nullable))
        .build();
    if !is_nullable {
        return reference.into();
    }
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let one_of = OneOfBuilder::new().item(null).item(reference);
    one_of.description(Some(description)).into()
}

/// The schema of an input: other members than its fields are refused.
pub fn object<T: Input>() -> RefOr<Schema> {
    let mut object = ObjectBuilder::new()
        .description(Some(T::DESCRIPTION))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for property in T::properties() {
        object = object.property(property.name, property.schema);
        if property.is_required {
            object = object.required(property.name);
        }
    }
    object.into()
}

/// Adds the schemas that an input refers to.
pub fn named_schemas<T: Input>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    let named = T::properties()
        .into_iter()
        .flat_map(|property| property.named);
    schemas.extend(named);
}

/// The parameters of a query: text, and never `null`.
pub fn parameters<T: Input>() -> Vec<Parameter> {
    let parameters = T::properties().into_iter().map(|property| {
        ParameterBuilder::new()
            .name(property.name)
            .parameter_in(ParameterIn::Query)
            .description(Some(property.description.clone()))
            .schema(Some(as_parameter(property)))
            .build()
    });
    parameters.collect()
}

fn as_parameter(property: Property) -> RefOr<Schema> {
    match property.schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = None;
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                // What JSON may also write as a number is text here.
                if types.contains(&Type::String) {
                    types.retain(|kind| *kind == Type::String);
                    (object.minimum, object.maximum, object.multiple_of) = (None, None, None);
                }
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
            object.into()
        }
        schema => match property.named.into_iter().next() {
            Some((_, words)) => words,
            None => schema,
        },
    }
}

fn or_null(kind: SchemaType) -> SchemaType {
    let mut types = match kind {
        SchemaType::Type(only) => vec![only],
        SchemaType::Array(types) => types,
        SchemaType::AnyValue => return SchemaType::AnyValue,
    };
    types.push(Type::Null);
    SchemaType::Array(types)
}
