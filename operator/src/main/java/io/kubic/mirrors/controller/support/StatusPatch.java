package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.client.CustomResource;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * Writes the status of a custom resource, if it differs, as the only thing in a patch: nothing of
 * the spec can be changed or owned by it.
 */
public final class StatusPatch {
  private StatusPatch() {}

  /**
   * What the SDK shall do.
   *
   * @param empty makes an object of the kind, as in {@code MirrorList::new}
   * @param next the status that should stand
   * @param present the status that stands, reduced to what is ours
   * @param again when to look again although nothing was announced
   */
  public static <S, R extends CustomResource<?, S>> UpdateControl<R> of(
      R resource, Supplier<R> empty, S next, S present, Duration again) {
    if (next.equals(present)) {
      return UpdateControl.<R>noUpdate().rescheduleAfter(again);
    }
    return UpdateControl.patchStatus(of(resource, empty, next)).rescheduleAfter(again);
  }

  /** The patch itself. */
  public static <S, R extends CustomResource<?, S>> R of(R resource, Supplier<R> empty, S next) {
    R patch = empty.get();
    patch.setMetadata(
        new ObjectMetaBuilder()
            .withName(resource.getMetadata().getName())
            .withNamespace(resource.getMetadata().getNamespace())
            .build());
    patch.setStatus(next);
    return patch;
  }
}
