//! Prints the API's OpenAPI document, as `proto/openapi.json` holds it.

fn main() -> Result<(), serde_json::Error> {
    println!("{}", whimbrel_api::openapi().to_pretty_json()?);
    Ok(())
}
