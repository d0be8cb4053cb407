package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RouteTest {
  private static final String DIGEST = "sha256:" + "a".repeat(64);

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          GET    | /v2/a/b/manifests/v1        | MANIFEST_READ   | repository:a/b:pull
          HEAD   | /v2/a/manifests/@           | MANIFEST_HEAD   | repository:a:pull
          PUT    | /v2/a/manifests/v1          | MANIFEST_WRITE  | repository:a:pull,push
          DELETE | /v2/a/manifests/v1          | MANIFEST_DELETE | repository:a:delete
          GET    | /v2/a/blobs/@               | BLOB_READ       | repository:a:pull
          DELETE | /v2/a/blobs/@               | BLOB_DELETE     | repository:a:delete
          POST   | /v2/a/blobs/uploads/        | UPLOAD_START    | repository:a:pull,push
          PATCH  | /v2/a/blobs/uploads/x-1_=   | UPLOAD_WRITE    | repository:a:pull,push
          DELETE | /v2/a/blobs/uploads/x       | UPLOAD_CANCEL   | repository:a:pull,push
          GET    | /v2/a/tags/list             | TAGS            | repository:a:pull
          GET    | /v2/a/referrers/@           | REFERRERS       | repository:a:pull
          GET    | /v2/_catalog                | CATALOG         | registry:catalog:*
          GET    | /v2/a/blobs/uploads/manifests/x | MANIFEST_READ | repository:a/blobs/uploads:pull
          """)
  void everyEndpointOfTheSpecNeedsItsScope(
      String method, String path, Route.Kind kind, String scope) {
    Route route = Route.of(method, path.replace("@", DIGEST), null);

    assertThat(route).isInstanceOf(Route.Accepted.class);
    assertThat(((Route.Accepted) route).kind()).isEqualTo(kind);
    assertThat(((Route.Accepted) route).needs()).extracting(Access::scope).containsExactly(scope);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/",
        "/v1/a",
        "/v2",
        "/v2/a",
        "/v2/A/manifests/x",
        "/v2/a/../manifests/x",
        "/v2/a//manifests/x",
        "/v2/a/manifests/",
        "/v2/a/manifests/.x",
        "/v2/a/manifests/x%2Fy",
        "/v2/a/blobs/uploads",
        "/v2/a/blobs/x",
        "/v2/uploads/x",
        "/v2/a/uploads/x",
        "/v2/a/tags/all",
        "/v2/a_/tags/list",
        "/v2/a..b/tags/list",
        "/v2/a;x/tags/list",
        "/debug/pprof",
        "/v2/_catalog/x",
        "/v2//manifests/x",
        "//v2/a/manifests/x",
        "/v2/./a/manifests/x",
        "/v2/a/manifests/../../x/manifests/y",
        "/v2/%61/manifests/x",
        "/v2/a%2Fb/manifests/x",
        "/v2/a/%2e%2e/b/manifests/x",
        "/v2/a/manifests/x%00",
        "/v2/a/manifests/x/",
        "/v2/a\\b/manifests/x",
        "/v2/é/manifests/x",
        "/auth/token/",
        "/auth",
        "/metrics",
        "/readyz",
        "/freeze"
      })
  void nothingElseIsAccepted(String path) {
    if (!path.equals("/v2")) {
      assertThat(Route.of("GET", path, null)).isInstanceOf(Route.NotFound.class);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v2/a/blobs/sha256%3a", "/v2/a/manifests/sha256:baddigest"})
  void whatLooksLikeADigestAndIsNoneIsABadRequest(String path) {
    assertThat(Route.of("PUT", path, null)).isInstanceOf(Route.BadRequest.class);
  }

  @Test
  void aMountNeedsPullOnItsSourceAndIsWrittenAnew() {
    Route route = Route.of("POST", "/v2/a/blobs/uploads/", "mount=" + DIGEST + "&from=b%2Fc&x=y");

    assertThat(((Route.Accepted) route).needs())
        .extracting(Access::scope)
        .containsExactly("repository:a:pull,push", "repository:b/c:pull");
    assertThat(((Route.Accepted) route).query())
        .isEqualTo("mount=sha256%3A" + "a".repeat(64) + "&from=b%2Fc");
  }

  @ParameterizedTest
  @ValueSource(strings = {"from=a&from=b", "from=B", "from=a;b&mount=x", "from=%zz"})
  void aMountThatTwoReadersCouldReadDifferentlyIsRefused(String query) {
    assertThat(Route.of("POST", "/v2/a/blobs/uploads/", query))
        .isInstanceOf(Route.BadRequest.class);
  }

  @Test
  void scopesAreReadAsFarAsTheyAreKnown() {
    assertThat(
            Access.parse(
                List.of("repository:h:5000/a:pull repository:h:5000/a:push", "rubbish", "x:y:z")))
        .extracting(Access::scope)
        .containsExactly("repository:h:5000/a:pull,push", "x:y:z");
  }
}
