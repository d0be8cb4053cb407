package io.kubic.mirrors.oci;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ManifestTest {
  private static final String D = "sha256:" + "b".repeat(64);
  private static final String CONFIG =
      "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\""
          + D
          + "\",\"size\":2}";
  private static final String IMAGE = "{\"schemaVersion\":2," + CONFIG + ",\"layers\":[]}";

  private static Manifest parse(String json, String type) {
    return Manifest.parse(json.getBytes(UTF_8), type, "r.example/a:1");
  }

  private static Reason refusal(String json, String type) {
    return catchThrowableOfType(RegistryException.class, () -> parse(json, type)).reason();
  }

  @Test
  void theBytesStayAsTheyAre() {
    String odd = IMAGE.replace(",", " ,\n\t");
    Manifest manifest = parse(odd, MediaTypes.OCI_MANIFEST);
    assertThat(new String(manifest.bytes(), UTF_8)).isEqualTo(odd);
    assertThat(manifest.digest()).isEqualTo(Digest.of(odd.getBytes(UTF_8)));
    assertThat(manifest.blobs()).extracting(b -> b.digest().toString()).containsExactly(D);
  }

  @Test
  void foreignLayersStayAtTheirVendor() {
    Manifest manifest =
        parse(
            IMAGE.replace(
                "\"layers\":[]",
                "\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"digest\":\""
                    + D.replace('b', 'c')
                    + "\",\"size\":9,\"urls\":[\"https://elsewhere.example/x\"]}]"),
            MediaTypes.DOCKER_MANIFEST);
    assertThat(manifest.blobs()).hasSize(1);
  }

  @Test
  void anIndexListsItsChildrenWithTheirPlatforms() {
    Manifest index =
        parse(
            "{\"schemaVersion\":2,\"mediaType\":\""
                + MediaTypes.OCI_INDEX
                + "\",\"manifests\":[{\"mediaType\":\""
                + MediaTypes.OCI_MANIFEST
                + "\",\"digest\":\""
                + D
                + "\",\"size\":7,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}}]}",
            MediaTypes.OCI_INDEX);
    assertThat(index.isIndex()).isTrue();
    assertThat(index.children().getFirst().platform()).hasToString("linux/arm/v7");
  }

  @Test
  void schemaOneIsRefusedByNameAlsoWhereTheDigestLeavesItsSignaturesOut() {
    byte[] bytes = "{\"schemaVersion\":1,\"fsLayers\":[],\"signatures\":[]}".getBytes(UTF_8);
    RegistryException refused =
        catchThrowableOfType(
            RegistryException.class,
            () ->
                Manifest.parse(
                    bytes,
                    "application/vnd.docker.distribution.manifest.v1+prettyjws",
                    "app@digest",
                    Digest.of("the payload".getBytes(UTF_8))));
    assertThat(refused.reason()).isEqualTo(Reason.UnsupportedMediaType);
  }

  @Test
  void schemaOneIsRefusedByName() {
    String type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    RegistryException refused =
        catchThrowableOfType(
            RegistryException.class, () -> parse("{\"schemaVersion\":1,\"fsLayers\":[]}", type));
    assertThat(refused.reason()).isEqualTo(Reason.UnsupportedMediaType);
    assertThat(refused).hasMessageContaining("schema 1");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "<html>login</html> | text/html",
        "[] | application/vnd.oci.image.manifest.v1+json",
        "{} | application/vnd.oci.image.manifest.v1+json",
        "{\"schemaVersion\":2,\"schemaVersion\":2} | application/vnd.oci.image.manifest.v1+json",
        "{\"schemaVersion\":7,\"config\":{}} | application/vnd.oci.image.manifest.v1+json",
        "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]} | application/vnd.oci.image.index.v1+json",
      })
  void malformedManifestsAreRefused(String json, String type) {
    assertThat(refusal(json, type)).isEqualTo(Reason.MalformedResponse);
  }

  @ParameterizedTest
  @CsvSource({"-1", "1.5", "9223372036854775808", "\"2\""})
  void sizesThatAreNoneAreRefused(String size) {
    assertThat(refusal(IMAGE.replace("\"size\":2", "\"size\":" + size), MediaTypes.OCI_MANIFEST))
        .isEqualTo(Reason.MalformedResponse);
  }

  @ParameterizedTest
  @CsvSource({"sha256:../../etc/passwd", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:abc"})
  void digestsThatAreNoneAreRefused(String digest) {
    assertThat(refusal(IMAGE.replace(D, digest), MediaTypes.OCI_MANIFEST))
        .isEqualTo(Reason.MalformedResponse);
  }

  @Test
  void deepNestingIsRefusedWithoutFallingOver() {
    String deep = "{\"a\":".repeat(2000) + "1" + "}".repeat(2000);
    assertThat(refusal(deep, MediaTypes.OCI_MANIFEST)).isEqualTo(Reason.MalformedResponse);
  }

  @Test
  void aTypeThatContradictsTheHeaderIsRefused() {
    assertThat(
            refusal(
                IMAGE.replace(
                    "{\"schemaVersion\":2",
                    "{\"schemaVersion\":2,\"mediaType\":\"" + MediaTypes.DOCKER_MANIFEST + "\""),
                MediaTypes.OCI_MANIFEST))
        .isEqualTo(Reason.MalformedResponse);
  }

  /** As many of the parts as fit into a manifest. */
  private static byte[] large(String start, String part, String end) {
    int times = (Manifest.MAX_BYTES - start.length() - end.length()) / part.length();
    return (start + part.repeat(times) + end).getBytes(UTF_8);
  }

  @ParameterizedTest
  @ValueSource(strings = {"{},", "[],", "{\"\":1},"})
  void manySmallThingsDoNotTakeManyTimesTheMemoryOfTheirBytes(String part) {
    byte[] bytes = large(IMAGE.substring(0, IMAGE.length() - 1) + ",\"x\":[", part, "1]}");
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    RegistryException e =
        catchThrowableOfType(
            RegistryException.class,
            () -> Manifest.parse(bytes, MediaTypes.OCI_MANIFEST, "r.example/a:1"));
    assertThat(threads.getCurrentThreadAllocatedBytes() - before)
        .isLessThan(12L * Manifest.MAX_BYTES);
    assertThat(e.reason()).isEqualTo(Reason.MalformedResponse);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ",\"annotations\":{\"a\":\"b\"}",
        ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v1\"}"
      })
  void anIndexMayHaveAsManyManifestsAsFit(String more) {
    String one = "{\"digest\":\"" + D + "\",\"size\":1" + more + "}";
    byte[] bytes = large("{\"schemaVersion\":2,\"manifests\":[", one + ",", one + "]}");
    assertThat(Manifest.parse(bytes, MediaTypes.OCI_INDEX, "r.example/a:1").children())
        .hasSizeGreaterThan(20_000);
  }
}
