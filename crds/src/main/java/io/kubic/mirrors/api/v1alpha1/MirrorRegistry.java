package io.kubic.mirrors.api.v1alpha1;

import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import io.fabric8.crdv2.generator.v1.SchemaCustomizer;
import io.fabric8.generator.annotation.Required;
import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.model.annotation.Categories;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Version;

/** A registry with its auth gateway, certificates, credentials and storage. */
@Group(Api.GROUP)
@Version(Api.VERSION)
@ShortNames("mreg")
@Categories("mirrors")
@AdditionalPrinterColumn(
    name = "READY",
    jsonPath = ".status.conditions[?(@.type==\"Ready\")].status",
    type = AdditionalPrinterColumn.Type.STRING)
@AdditionalPrinterColumn(
    name = "URL",
    jsonPath = ".status.endpoint.url",
    type = AdditionalPrinterColumn.Type.STRING)
@AdditionalPrinterColumn(
    name = "REPOS",
    jsonPath = ".status.contents.repositories",
    type = AdditionalPrinterColumn.Type.INTEGER)
@AdditionalPrinterColumn(
    name = "TAGS",
    jsonPath = ".status.contents.tags",
    type = AdditionalPrinterColumn.Type.INTEGER)
@AdditionalPrinterColumn(
    name = "USED",
    jsonPath = ".status.storage.used",
    type = AdditionalPrinterColumn.Type.STRING)
@AdditionalPrinterColumn(
    name = "CERT-EXPIRES",
    jsonPath = ".status.certificate.notAfter",
    type = AdditionalPrinterColumn.Type.STRING)
@AdditionalPrinterColumn(
    name = "AGE",
    jsonPath = ".metadata.creationTimestamp",
    type = AdditionalPrinterColumn.Type.DATE)
@AdditionalPrinterColumn(
    name = "REASON",
    jsonPath = ".status.conditions[?(@.type==\"Ready\")].reason",
    type = AdditionalPrinterColumn.Type.STRING,
    priority = 1)
@AdditionalPrinterColumn(
    name = "FREED",
    jsonPath = ".status.garbageCollection.freedBytes",
    type = AdditionalPrinterColumn.Type.INTEGER,
    priority = 1)
@SchemaCustomizer(SchemaLists.class)
public class MirrorRegistry extends CustomResource<MirrorRegistrySpec, MirrorRegistryStatus>
    implements Namespaced {
  private static final long serialVersionUID = 1L;

  @Override
  @Required
  public MirrorRegistrySpec getSpec() {
    return super.getSpec();
  }
}
