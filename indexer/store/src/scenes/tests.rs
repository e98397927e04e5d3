//! Tests of scenes.rs.

use super::*;
use crate::Error;
use crate::testing::{hash, on_both};

#[tokio::test]
async fn a_scene_is_stored_once_and_never_under_another_manifest() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let manifest = "{\"entry\":\"a.pov\"}".to_owned();
        let scene = Scene { scene_id: hash(1), manifest, size: 1 << 40, created_at: 5 };
        assert_eq!(reader.scene(hash(1)).await.unwrap(), None);
        assert!(intake.put_scene(&scene).await.unwrap());
        assert!(!intake.put_scene(&Scene { created_at: 6, ..scene.clone() }).await.unwrap());
        let error = intake.put_scene(&Scene { size: 1, ..scene.clone() }).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert_eq!(reader.scene(hash(1)).await.unwrap(), Some(scene));
    })
    .await;
}
