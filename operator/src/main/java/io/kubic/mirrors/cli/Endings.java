package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.bundle.Bundle;
import io.kubic.mirrors.bundle.RefusedException;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.sync.Termination;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;

/** How the commands around a bundle end: a termination message and an exit code, always. */
final class Endings {
  private Endings() {}

  /** Runs, and tells what went wrong in both ways. */
  static int reported(RunOutput output, IntSupplier run) {
    try (RunOutput _ = output) {
      return run.getAsInt();
    } catch (RefusedException e) {
      output.terminate(Termination.of(e.reason().name(), String.valueOf(e.getMessage())));
      throw new CommandException(ExitCode.REFUSED, e.reason() + ": " + e.getMessage());
    } catch (InvalidSpecException e) {
      output.terminate(Termination.of("InvalidSpec", String.valueOf(e.getMessage())));
      throw e;
    } catch (CommandException e) {
      output.terminate(
          Termination.of(
              e.exitCode() == ExitCode.REFUSED ? Reason.GuardExceeded.name() : "InvalidSpec",
              String.valueOf(e.getMessage())));
      throw e;
    } catch (RegistryException e) {
      output.terminate(Termination.of(e.reason().name(), String.valueOf(e.getMessage())));
      throw e;
    } catch (RuntimeException e) {
      output.terminate(Termination.of(Reason.Internal.name(), String.valueOf(e)));
      throw e;
    }
  }

  /** A bundle in a termination message. */
  static Termination.Bundle told(
      Bundle bundle, Digest checksum, boolean signed, @Nullable String ref) {
    Bundle.Base base = bundle.base();
    return new Termination.Bundle(
        bundle.id().hex(),
        bundle.sequence(),
        base == null ? null : base.receipt().hex(),
        bundle.counts().bytes(),
        bundle.counts().images(),
        bundle.volumes(),
        checksum.hex(),
        signed,
        ref);
  }

  /** A bundle in a report. */
  static Map<String, Object> bundle(Bundle bundle, Digest checksum, boolean signed) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("id", bundle.id());
    all.put("series", bundle.series());
    all.put("sequence", bundle.sequence());
    Bundle.Base base = bundle.base();
    if (base != null) {
      all.put("base", base.receipt());
    }
    all.put("images", bundle.counts().images());
    all.put("unchanged", bundle.counts().unchanged());
    all.put("deletions", bundle.deletions().size());
    all.put("bytes", bundle.counts().bytes());
    all.put("volumes", bundle.volumes());
    all.put("sha256", checksum.hex());
    all.put("signed", signed);
    return all;
  }
}
