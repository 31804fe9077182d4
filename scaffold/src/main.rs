//! Writes the files of a new resource: each template in `.loco-templates/scaffold/` makes one, and adds the
//! lines that wire it in. The names that templates use are the fields of [`Resource`] and [`Field`].

mod field;
mod resource;

use std::{env, fs, path::Path, process::ExitCode};

use rrgen::RRgen;

use self::{field::Field, resource::Resource};

const USAGE: &str = "\
bin/scaffold NAME FIELD:TYPE...

  bin/scaffold coupon code:string^ percent:int! note:text

NAME is one thing, such as coupon or gift_card. TYPE is string, text, int, money or bool.
After it, ! says that the field is required, and ^ that it is required and unique;
without either it may be missing.";

const TEMPLATES: &str = ".loco-templates/scaffold";

/// What can go wrong.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.split_first() {
        Some((name, fields)) if !fields.is_empty() => match generate(name, fields) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("Error: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// Renders every template for the resource.
fn generate(name: &str, fields: &[String]) -> Result<()> {
    let fields = fields.iter().map(|field| Field::parse(field));
    let resource = Resource::new(name, fields.collect::<Result<_>>()?)?;
    let variables = serde_json::to_value(&resource)?;
    let mut templates = fs::read_dir(TEMPLATES)?
        .map(|entry| Ok(fs::read_to_string(entry?.path())?))
        .collect::<Result<Vec<_>>>()?;
    templates.sort();
    let generator = RRgen::with_working_dir(Path::new("."));
    for template in templates {
        generator.generate(&template, &variables)?;
    }
    Ok(())
}
