package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.processing.dependent.kubernetes.SSABasedGenericKubernetesResourceMatcher;
import java.net.HttpURLConnection;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes objects by server-side apply, and only when the fields we own differ from what we want.
 * Looked up by name, not by label: an object whose label somebody removed is repaired, too.
 */
public final class Applier {
  private static final Logger LOG = LoggerFactory.getLogger(Applier.class);
  private final Context<?> context;

  public Applier(Context<?> context) {
    this.context = context;
  }

  /**
   * Makes the object as desired.
   *
   * @param actual the object as an informer's cache has it
   * @return the object as the server has it now
   */
  public <R extends HasMetadata> R apply(R desired, Optional<R> actual) {
    if (actual.isPresent()
        && SSABasedGenericKubernetesResourceMatcher.<R>getInstance()
            .matches(actual.get(), desired, context)) {
      return actual.get();
    }
    LOG.info("{} {}", actual.isPresent() ? "changing" : "creating", name(desired));
    return context
        .getClient()
        .resource(desired)
        .fieldManager(context.getControllerConfiguration().fieldManager())
        .forceConflicts()
        .serverSideApply();
  }

  /**
   * Makes an object with content that is generated once and never again: what exists wins, even
   * when the informer's cache has not seen it yet.
   */
  public <R extends HasMetadata> R createOnce(Optional<R> cached, R key, Supplier<R> generate) {
    if (cached.isPresent()) {
      return cached.get();
    }
    R live = context.getClient().resource(key).get();
    if (live != null) {
      return live;
    }
    R made = generate.get();
    LOG.info("creating {}", name(made));
    try {
      return context.getClient().resource(made).create();
    } catch (KubernetesClientException e) {
      if (e.getCode() == HttpURLConnection.HTTP_CONFLICT) {
        return context.getClient().resource(key).get();
      }
      throw e;
    }
  }

  /** Deletes the object if it is there. */
  public <R extends HasMetadata> void delete(R object) {
    LOG.info("deleting {}", name(object));
    context.getClient().resource(object).delete();
  }

  private static String name(HasMetadata object) {
    String namespace = object.getMetadata().getNamespace();
    return object.getKind()
        + " "
        + (namespace == null ? "" : namespace + "/")
        + object.getMetadata().getName();
  }
}
