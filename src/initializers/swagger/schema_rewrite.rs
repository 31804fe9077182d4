//! Makes schemas exact where utoipa's own are not.

use std::collections::BTreeMap;

use utoipa::openapi::{
    Ref, RefOr, Schema,
    schema::{ArrayItems, SchemaType, Type},
};

/// Schemas by name.
pub type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Leads to named schemas where utoipa repeats them: a page says in full what its items are.
pub fn refer(schemas: &mut Schemas) {
    let named = schemas.clone();
    for schema in schemas.values_mut() {
        let RefOr::T(Schema::Object(object)) = schema else {
            continue;
        };
        for property in object.properties.values_mut() {
            if let RefOr::T(Schema::Array(array)) = property
                && let ArrayItems::RefOrSchema(item) = &mut array.items
                && let Some((name, _)) = named.iter().find(|(_, schema)| *schema == &**item)
            {
                **item = Ref::from_schema_name(name).into();
            }
        }
    }
}

/// What a body can be, which is missing or an object, and never `null`.
pub fn without_null(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(one_of)) = schema {
        let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
        one_of.items.retain(|item| !is_null(item));
        if one_of.items.len() == 1 {
            *schema = one_of.items.remove(0);
        }
    }
}

/// The name of the schema that a reference leads to.
pub fn name_of(schema: &RefOr<Schema>) -> Option<&str> {
    match schema {
        RefOr::Ref(reference) => reference.ref_location.strip_prefix("#/components/schemas/"),
        RefOr::T(_) => None,
    }
}
