package io.kubic.mirrors.list;

import com.fasterxml.jackson.annotation.JsonIgnore;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Repository;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a list means, as its sources stand.
 *
 * @param images sorted, without duplicates
 * @param sources what each source offered, in the order of the list
 * @param problems what could not be listed or understood, sorted by object
 * @param complete whether every source could be seen whole: nothing may be pruned on an incomplete
 *     selection, and a run on it is not successful
 * @param companions of every repository whose tags were listed for a source that wants signatures,
 *     the tags of these, of attestations and the like, so that nobody has to list it again
 */
public record Selection(
    List<SelectedImage> images,
    List<SourceCount> sources,
    List<Problem> problems,
    boolean complete,
    Map<Repository, Set<String>> companions) {
  public Selection {
    images = List.copyOf(images);
    sources = List.copyOf(sources);
    problems = List.copyOf(problems);
    companions = Map.copyOf(companions);
  }

  /** A selection that was made without listing any repository. */
  public Selection(
      List<SelectedImage> images,
      List<SourceCount> sources,
      List<Problem> problems,
      boolean complete) {
    this(images, sources, problems, complete, Map.of());
  }

  /** Whether the list's guard stops the run before its first byte. */
  public boolean isRefused() {
    return refusal().isPresent();
  }

  /** Why it does; empty when it does not. */
  public Optional<Problem> refusal() {
    return problems.stream()
        .filter(problem -> problem.reason() == Reason.GuardExceeded)
        .findFirst();
  }

  /** The problems for which it is not complete: each is a failure of a run. */
  public List<Problem> unseen() {
    return complete ? List.of() : problems.stream().filter(one -> !one.harmless()).toList();
  }

  /**
   * What one source offered and how much of it is wanted.
   *
   * @param repositories in the catalog, or named literally
   * @param matched repositories whose tags were listed
   * @param tags seen in these, companions included
   * @param selected images
   */
  public record SourceCount(
      String registry, String name, int repositories, int matched, long tags, int selected) {}

  /**
   * Something that could not be seen or understood.
   *
   * @param object what it is about: a registry, a repository, an image or a field
   * @param message one line, without secrets
   * @param harmless whether nothing is missing because of it
   */
  public record Problem(String object, Reason reason, String message, @JsonIgnore boolean harmless)
      implements Comparable<Problem> {
    /** One for which something may be missing. */
    public Problem(String object, Reason reason, String message) {
      this(object, reason, message, false);
    }

    @Override
    public int compareTo(Problem other) {
      int order = object.compareTo(other.object);
      if (order == 0) {
        order = reason.compareTo(other.reason);
      }
      return order != 0 ? order : message.compareTo(other.message);
    }
  }
}
