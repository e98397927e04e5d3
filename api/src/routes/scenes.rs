//! Content-addressed uploads: one .pov file or a zip; archives checked by counted bytes.

use alloy::primitives::keccak256;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contracts::scene::Manifest;
use contracts::spec::ExpandedSpec;
use serde::{Deserialize, Serialize};
use store::Scene;
use utoipa::{IntoParams, ToSchema};

use super::quotes::canonical;
use crate::App;
use crate::archive::{Upload, UploadError};
use crate::edge::body::{self, NoParams, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::wire::{Hash, Time};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadParams {
    /// Name of a single file, such as demo.pov; a zip needs none.
    name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SceneView {
    /// keccak256 of the manifest's canonical JSON: the same files have the same id.
    pub scene_id: Hash,
    pub size: u64,
    pub files: Vec<SceneFileView>,
    /// The files that a job's `entry` can name.
    pub entries: Vec<String>,
    pub created_at: Time,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SceneFileView {
    pub path: String,
    pub size: u64,
    pub hash: Hash,
}

/// Upload a scene
///
/// The body is one POV-Ray file (with `?name=demo.pov`) or a zip that holds one, of any content
/// type. Refused, with nothing stored: paths that leave the scene, links, archives inside, more
/// bytes or files than the limits, renderer settings (.ini), source that is not UTF-8 text.
/// 201 when new, 200 when these very files are known already.
#[utoipa::path(
    post, path = "/v1/scenes", tag = "files",
    params(UploadParams),
    request_body(content_type = "application/octet-stream", description = ".pov text or zip"),
    responses(
        (status = 201, body = Answer<SceneView>),
        (status = 200, description = "Known already", body = Answer<SceneView>)
    )
)]
pub async fn upload(
    State(app): State<App>,
    view: View,
    Params(params): Params<UploadParams>,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    app.store.takes_writes()?;
    let bytes = body::bytes(request, &app).await?;
    // Unpacking takes up to a second of work: not on a thread that answers others.
    let read = tokio::task::spawn_blocking(move || Upload::read(params.name.as_deref(), &bytes));
    let upload = read.await.map_err(|_| Code::Internal.because("unpacking stopped"))?;
    let upload = upload.map_err(refusal)?;
    let manifest = upload.manifest();
    let text = canonical(&manifest)?;
    let scene_id = keccak256(&text);
    // Files first: a manifest must never name a file that is not there.
    for bytes in upload.files.values() {
        app.store.objects().put(bytes.clone()).await?;
    }
    let size = manifest.files.iter().map(|file| file.size).sum();
    let scene = Scene { scene_id, manifest: text, size, created_at: app.now() };
    let new = app.store.intake().put_scene(&scene).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, view.answer(SceneView::of(&scene, &manifest))))
}

/// Show a scene's files
#[utoipa::path(
    get, path = "/v1/scenes/{scene_id}", tag = "files",
    params(("scene_id" = Hash, Path)),
    responses((status = 200, body = Answer<SceneView>))
)]
pub async fn show(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let scene_id = body::hash(&id)?;
    let Some(scene) = app.store.reader().scene(scene_id).await? else {
        return Err(Code::SceneNotFound.because(format!("scene {scene_id} was not uploaded here")));
    };
    let manifest = read_manifest(&scene)?;
    Ok(view.answer(SceneView::of(&scene, &manifest)))
}

impl SceneView {
    fn of(scene: &Scene, manifest: &Manifest) -> Self {
        let files = manifest.files.iter().map(|file| SceneFileView {
            path: file.path.clone(),
            size: file.size,
            hash: Hash(file.hash),
        });
        Self {
            scene_id: Hash(scene.scene_id),
            size: scene.size,
            files: files.collect(),
            entries: entries(manifest).map(str::to_owned).collect(),
            created_at: Time::at(scene.created_at),
        }
    }
}

fn entries(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let paths = manifest.files.iter().map(|file| file.path.as_str());
    paths.filter(|path| path.to_ascii_lowercase().ends_with(".pov"))
}

fn read_manifest(scene: &Scene) -> Result<Manifest, Problem> {
    serde_json::from_str(&scene.manifest).map_err(|error| {
        tracing::error!(%error, scene = %scene.scene_id, "a stored manifest does not read");
        Code::Internal.because("a stored manifest does not read; its row was altered")
    })
}

/// Is the spec's scene here, and can its entry be started with?
pub async fn check_entry(app: &App, spec: &ExpandedSpec) -> Result<(), Problem> {
    let Some(scene) = app.store.reader().scene(spec.scene).await? else {
        let detail = format!("scene {} was not uploaded here", spec.scene);
        return Err(Code::SceneNotFound.because(detail).at("spec.scene"));
    };
    let manifest = read_manifest(&scene)?;
    let known: Vec<&str> = entries(&manifest).collect();
    if known.contains(&spec.entry.as_str()) {
        return Ok(());
    }
    let detail = format!("the scene has no file `{}` to start with", spec.entry);
    let names = known.iter().take(10).copied().collect::<Vec<_>>().join(", ");
    let hint = format!("Name one of: {names}.");
    Err(Code::InvalidSpec.because(detail).at("spec.entry").hint(hint))
}

fn refusal(error: UploadError) -> Problem {
    let code = if error.is_no_scene() { Code::NotAScene } else { Code::ArchiveRefused };
    code.because(error.to_string()).at("(body)")
}
