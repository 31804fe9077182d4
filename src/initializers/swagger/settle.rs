//! Makes schemas exact where derived ones cannot be.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::{
    Ref, RefOr, Schema,
    path::Operation,
    schema::{AdditionalProperties, ArrayItems, Object, SchemaType, Type},
};

/// Schemas by name.
pub type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Leads to named schemas where derived ones repeat them: a page says in full what its items are.
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

/// Puts the schemas of small types where they are used, so that a name is told to have 1 to 120
/// characters where it stands. Objects and lists of words keep their names, which clients want.
pub fn inline(schemas: &mut Schemas) {
    let (named, small): (Schemas, Schemas) = std::mem::take(schemas)
        .into_iter()
        .partition(|(_, schema)| has_a_name_of_its_own(schema));
    *schemas = named;
    for schema in schemas.values_mut() {
        settle(schema, &small);
    }
}

/// Closes the schemas of everything that is sent to `operation`: members that are not named are
/// refused.
pub fn close(operation: &Operation, schemas: &mut Schemas) {
    let mut open: Vec<_> = sent(operation);
    let mut closed = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(RefOr::T(Schema::Object(object))) = schemas.get_mut(&name)
            && !object.properties.is_empty()
            && closed.insert(name)
        {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            for property in object.properties.values() {
                open.extend(names(property));
            }
        }
    }
}

/// What a parameter can be: text, and never `null`.
pub fn as_parameter(schema: &mut RefOr<Schema>) {
    without_null(schema);
    if let RefOr::T(Schema::Object(object)) = schema
        && matches!(&object.schema_type, SchemaType::Array(types) if types.contains(&Type::String))
    {
        object.schema_type = SchemaType::Type(Type::String);
        (object.minimum, object.maximum, object.multiple_of) = (None, None, None);
    }
}

/// What a body can be, which is missing or an object, and never `null`.
pub fn without_null(schema: &mut RefOr<Schema>) {
    let only = match schema {
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.items.retain(|item| !is_null(item));
            (one_of.items.len() == 1).then(|| one_of.items.remove(0))
        }
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
            None
        }
        _ => None,
    };
    if let Some(only) = only {
        *schema = only;
    }
}

/// The name of the schema that a reference leads to.
pub fn name_of(schema: &RefOr<Schema>) -> Option<&str> {
    match schema {
        RefOr::Ref(reference) => reference.ref_location.strip_prefix("#/components/schemas/"),
        RefOr::T(_) => None,
    }
}

fn has_a_name_of_its_own(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            !object.properties.is_empty() || object.enum_values.is_some()
        }
        RefOr::T(Schema::AnyOf(_)) => false,
        _ => true,
    }
}

fn settle(schema: &mut RefOr<Schema>, small: &Schemas) {
    let described = |name: &str, description: Option<String>, nullable: bool| {
        small.get(name).cloned().map(|mut schema| {
            match &mut schema {
                RefOr::T(Schema::Object(object)) => {
                    object.description = description;
                    if nullable {
                        object.schema_type = or_null(object);
                    }
                }
                RefOr::T(Schema::AnyOf(any_of)) => any_of.description = description,
                _ => {}
            }
            schema
        })
    };
    let settled = match schema {
        RefOr::Ref(reference) => {
            let description =
                (!reference.description.is_empty()).then(|| reference.description.clone());
            name_of(schema).and_then(|name| described(name, description, false))
        }
        RefOr::T(Schema::OneOf(one_of)) if one_of.items.iter().any(is_null) => {
            for item in &mut one_of.items {
                if let RefOr::Ref(reference) = item
                    && !reference.description.is_empty()
                {
                    one_of.description = Some(std::mem::take(&mut reference.description));
                }
            }
            let name = one_of.items.iter().find_map(name_of);
            name.and_then(|name| described(name, one_of.description.clone(), true))
        }
        RefOr::T(Schema::Object(object)) => {
            for property in object.properties.values_mut() {
                settle(property, small);
            }
            None
        }
        RefOr::T(Schema::AllOf(all_of)) => {
            for item in &mut all_of.items {
                settle(item, small);
            }
            None
        }
        RefOr::T(_) => None,
    };
    if let Some(settled) = settled {
        *schema = settled;
    }
}

fn or_null(object: &Object) -> SchemaType {
    let mut types = match &object.schema_type {
        SchemaType::Type(only) => vec![only.clone()],
        SchemaType::Array(types) => types.clone(),
        SchemaType::AnyValue => return SchemaType::AnyValue,
    };
    types.push(Type::Null);
    SchemaType::Array(types)
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

fn sent(operation: &Operation) -> Vec<String> {
    let Some(RefOr::T(body)) = &operation.request_body else {
        return Vec::new();
    };
    let contents = body.content.values();
    contents
        .filter_map(|content| match content {
            RefOr::T(content) => name_of(content.schema.as_ref()?).map(str::to_owned),
            RefOr::Ref(_) => None,
        })
        .collect()
}

/// The names of the schemas that a member leads to.
fn names(schema: &RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::T(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(item) => names(item),
            ArrayItems::False => Vec::new(),
        },
        schema => name_of(schema).map(str::to_owned).into_iter().collect(),
    }
}
