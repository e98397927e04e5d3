//! Pages inside the binary: the OpenAPI document, its reader at /docs, the catalogue of errors.

use std::fmt::Write;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::App;
use crate::edge::body::clip;
use crate::error::{Code, Problem};
use crate::routes;

pub fn routes() -> Router<App> {
    // The reader's files are embedded: the page works without any other host.
    let reader = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    Router::new()
        .merge(reader)
        .route("/openapi.json", get(openapi))
        .route("/errors", get(catalogue))
        .route("/errors/{code}", get(one))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], routes::openapi()).into_response()
}

async fn catalogue() -> Html<String> {
    let mut rows = String::new();
    for code in Code::ALL {
        let (text, status) = (code.text(), code.status().as_u16());
        // Writing into a String cannot fail.
        let _ = write!(
            rows,
            "<tr><td>{status}</td><td><a href=\"/errors/{text}\">{text}</a></td><td>{}</td></tr>",
            code.title()
        );
    }
    page(
        "Errors",
        &format!("<table><tr><th>Status</th><th>Code</th><th>Means</th></tr>{rows}</table>"),
    )
}

async fn one(Path(name): Path<String>) -> Result<Html<String>, Problem> {
    let found = Code::ALL.iter().find(|code| code.text() == name);
    let Some(code) = found else {
        return Err(Code::ErrorNotFound.because(format!("no error is named `{}`", clip(&name))));
    };
    let again = if code.retryable() {
        "The same request may succeed later."
    } else {
        "The same request will be refused again."
    };
    let body = format!(
        "<p>Status {}. {}.</p><p>{}</p><p>{again}</p><p><a href=\"/errors\">All errors</a></p>",
        code.status(),
        code.title(),
        code.hint()
    );
    Ok(page(&code.text(), &body))
}

/// Nothing from a request is ever written into a page.
fn page(title: &str, body: &str) -> Html<String> {
    let style = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
        td,th{text-align:left;padding:.2em .8em}";
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{style}</style><h1>{title}</h1>{body}</html>"
    ))
}
