//! A copy of everything takes as much of the disk as the store, for as long as it is being read.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use quartermaster::control_plane::access::User;
use quartermaster::control_plane::http::Service;
use tower::ServiceExt;

use crate::bed::Bed;

async fn ask(service: &Service) -> Response<Body> {
    let request = Request::post("/quartermaster/backup").body(Body::empty());
    service.clone().oneshot(request.unwrap()).await.unwrap()
}

#[tokio::test]
async fn one_copy_is_there_at_a_time() {
    let bed = Bed::new().await;
    let service = bed.control_plane.service_for(User::admin());
    let unread = ask(&service).await;
    assert_eq!(unread.status(), 200);
    assert_eq!(ask(&service).await.status(), 429, "nobody has read the first one");
    drop(unread);
    let read = ask(&service).await;
    assert_eq!(read.status(), 200, "it is let go");
    let length: usize = read.headers()["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let whole = to_bytes(read.into_body(), usize::MAX).await.unwrap();
    assert_eq!(whole.len(), length);
    assert_eq!(ask(&service).await.status(), 200, "it is read");
}
