package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.MicroTime;
import io.fabric8.kubernetes.api.model.ObjectReferenceBuilder;
import io.fabric8.kubernetes.api.model.events.v1.EventBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.net.HttpURLConnection;
import java.time.Clock;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells a person what was decided, as a Warning event of the object. The same words about the same
 * object are told once, until the server has forgotten them. An event that cannot be written stops
 * nothing: what counts stands in the conditions.
 */
public final class Events {
  private static final Logger LOG = LoggerFactory.getLogger(Events.class);
  private static final DateTimeFormatter MICROS =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

  private Events() {}

  /** Writes a warning, unless it stands there already. */
  public static void warn(
      KubernetesClient client, HasMetadata about, String reason, String note, Clock clock) {
    String namespace =
        about.getMetadata().getNamespace() == null ? "default" : about.getMetadata().getNamespace();
    try {
      client
          .resource(
              new EventBuilder()
                  .withNewMetadata()
                  .withNamespace(namespace)
                  .withName(
                      about.getMetadata().getName()
                          + "."
                          + Hash.of(about.getMetadata().getUid() + reason + note))
                  .endMetadata()
                  .withEventTime(new MicroTime(MICROS.format(clock.instant())))
                  .withReportingController("mirrors.kubic.io/operator")
                  .withReportingInstance("mirror-operator")
                  .withAction("Reconcile")
                  .withReason(reason)
                  .withType("Warning")
                  .withNote(note.length() <= 1024 ? note : note.substring(0, 1021) + "...")
                  .withRegarding(
                      new ObjectReferenceBuilder()
                          .withApiVersion(about.getApiVersion())
                          .withKind(about.getKind())
                          .withNamespace(about.getMetadata().getNamespace())
                          .withName(about.getMetadata().getName())
                          .withUid(about.getMetadata().getUid())
                          .build())
                  .build())
          .create();
    } catch (KubernetesClientException e) {
      if (e.getCode() != HttpURLConnection.HTTP_CONFLICT) {
        LOG.warn("an event was not written: {}", e.getMessage());
      }
    }
  }
}
