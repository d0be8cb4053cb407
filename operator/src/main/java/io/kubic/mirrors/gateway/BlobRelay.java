package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.client.Result;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpMethod;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.util.BufferUtil;
import org.eclipse.jetty.util.Callback;
import org.jspecify.annotations.Nullable;

/**
 * Serves one blob, in as many turns as it takes. A registry needs some 4 MiB for each blob that is
 * being read, so only few are read at once, and a client that takes nothing while others wait loses
 * its turn: the registry's answer is given up, the client's stays open, and later the rest is asked
 * for by its range (RFC 9110, 14.2). Blobs are named by their digest, so the rest is that of the
 * same bytes; what the registry says of the length is compared all the same.
 */
final class BlobRelay implements FairGate.Visitor {
  /** Of a client's request, what the registry has to know to answer it. */
  private static final List<HttpHeader> ASKED =
      List.of(
          HttpHeader.ACCEPT,
          HttpHeader.RANGE,
          HttpHeader.IF_RANGE,
          HttpHeader.IF_MATCH,
          HttpHeader.IF_NONE_MATCH,
          HttpHeader.IF_MODIFIED_SINCE,
          HttpHeader.IF_UNMODIFIED_SINCE);

  /** Whoever has part of an answer waits for the rest as long as its connection lives. */
  private static final Duration ENDLESS = Duration.ofDays(1);

  /** Why an answer of the registry is given up. */
  private static final class Paused extends IOException {
    private static final long serialVersionUID = 1L;

    Paused() {
      super("another reader's turn");
    }

    @Override
    public synchronized Throwable fillInStackTrace() {
      return this;
    }
  }

  private final HttpClient client;
  private final HttpURI uri;
  private final Exchange exchange;
  private final FairGate gate;
  private final Runnable refuse;

  // All of these change under the lock of this relay.
  private FairGate.@Nullable Turn turn;
  private org.eclipse.jetty.client.@Nullable Request asking;
  private boolean answered;
  private boolean resumable;
  private boolean writing;
  private boolean lastWritten;
  private boolean pausing;
  private boolean fetched;
  private boolean ended;
  private @Nullable Throwable failure;
  private long next;
  private long end;

  /**
   * @param refuse answers a client that waited too long for its first byte
   */
  BlobRelay(HttpClient client, HttpURI uri, Exchange exchange, FairGate gate, Runnable refuse) {
    this.client = client;
    this.uri = uri;
    this.exchange = exchange;
    this.gate = gate;
    this.refuse = refuse;
  }

  /** Begins; the exchange's callback tells the end. */
  void start(Duration patience) {
    // Time in the queue is not the client's; time in which it takes nothing is.
    exchange.request().addIdleTimeoutListener(timeout -> isWriting());
    gate.arrive(who(), this, patience, System.nanoTime());
  }

  @Override
  public void enter(FairGate.Turn granted) {
    synchronized (this) {
      turn = granted;
      fetched = false;
    }
    exchange.request().getComponents().getExecutor().execute(this::ask);
  }

  @Override
  public void giveUp() {
    refuse.run();
  }

  @Override
  public void makeWay() {
    org.eclipse.jetty.client.Request give;
    synchronized (this) {
      if (pausing || fetched || lastWritten || !resumable) {
        return;
      }
      pausing = true;
      give = asking;
    }
    if (give != null) {
      var _ = give.abort(new Paused());
    }
  }

  private void ask() {
    org.eclipse.jetty.client.Request request =
        client.newRequest(uri.toURI()).method(HttpMethod.GET);
    HttpFields asked = exchange.request().getHeaders();
    request.headers(
        headers -> {
          for (HttpHeader name : ASKED) {
            String value = asked.get(name);
            // Several ranges would be a multipart answer; a server may ignore them.
            if (value != null && !(name == HttpHeader.RANGE && value.indexOf(',') >= 0)) {
              headers.put(name, value);
            }
          }
        });
    synchronized (this) {
      asking = request;
      if (answered) {
        String rest = "bytes=" + next + "-" + (end - 1);
        request.headers(
            headers -> {
              ASKED.forEach(headers::remove);
              headers.put(HttpHeader.RANGE, rest);
            });
      }
    }
    request.send(new Answer());
  }

  private synchronized boolean isWriting() {
    return writing;
  }

  private String who() {
    return exchange.address().getHostAddress();
  }

  private static boolean isHopByHop(@Nullable HttpHeader header) {
    return header == HttpHeader.CONNECTION
        || header == HttpHeader.KEEP_ALIVE
        || header == HttpHeader.TRANSFER_ENCODING
        || header == HttpHeader.TRAILER
        || header == HttpHeader.UPGRADE;
  }

  /** First and last of {@code bytes 0-4/10}. */
  private record Span(long first, long afterLast) {
    static Optional<Span> of(@Nullable String contentRange) {
      if (contentRange == null || !contentRange.startsWith("bytes ")) {
        return Optional.empty();
      }
      int dash = contentRange.indexOf('-');
      int slash = contentRange.indexOf('/');
      try {
        long first = Long.parseLong(contentRange.substring("bytes ".length(), dash));
        long last = Long.parseLong(contentRange.substring(dash + 1, slash));
        return first <= last ? Optional.of(new Span(first, last + 1)) : Optional.empty();
      } catch (NumberFormatException | IndexOutOfBoundsException e) {
        return Optional.empty();
      }
    }
  }

  /** One answer of the registry: the first, or the rest of it. */
  private final class Answer implements org.eclipse.jetty.client.Response.Listener {
    @Override
    public void onHeaders(org.eclipse.jetty.client.Response answer) {
      HttpFields headers = answer.getHeaders();
      Optional<Span> span = Span.of(headers.get(HttpHeader.CONTENT_RANGE));
      synchronized (BlobRelay.this) {
        if (answered) {
          if (answer.getStatus() != 206 || !span.equals(Optional.of(new Span(next, end)))) {
            var _ =
                answer.abort(new IOException("the registry does not go on: " + answer.getStatus()));
          }
          return;
        }
        answered = true;
        long length = headers.getLongField(HttpHeader.CONTENT_LENGTH);
        if (answer.getStatus() == 200 && length > 0) {
          end = length;
          resumable = true;
        } else if (answer.getStatus() == 206 && span.isPresent()) {
          next = span.get().first;
          end = span.get().afterLast;
          resumable = length == end - next;
        }
      }
      exchange.response().setStatus(answer.getStatus());
      for (HttpField field : headers) {
        if (!isHopByHop(field.getHeader())) {
          exchange.response().getHeaders().add(field);
        }
      }
    }

    @Override
    public void onContent(
        org.eclipse.jetty.client.Response answer, Content.Chunk chunk, Runnable demand) {
      ByteBuffer bytes = chunk.getByteBuffer();
      int length = bytes.remaining();
      if (length == 0) {
        demand.run();
        return;
      }
      boolean last;
      synchronized (BlobRelay.this) {
        last = resumable && next + length >= end;
        lastWritten = last;
        writing = true;
        if (turn != null) {
          turn.stalls(System.nanoTime());
        }
      }
      chunk.retain();
      exchange
          .response()
          .write(
              last,
              bytes,
              new Callback() {
                @Override
                public void succeeded() {
                  chunk.release();
                  wrote(length, answer, demand);
                }

                @Override
                public void failed(Throwable x) {
                  chunk.release();
                  synchronized (BlobRelay.this) {
                    writing = false;
                    failure = x;
                  }
                  var _ = answer.abort(x);
                  settle();
                }

                @Override
                public InvocationType getInvocationType() {
                  return InvocationType.NON_BLOCKING;
                }
              });
    }

    private void wrote(int length, org.eclipse.jetty.client.Response answer, Runnable demand) {
      boolean go;
      boolean pause = false;
      synchronized (BlobRelay.this) {
        writing = false;
        next += length;
        FairGate.Turn mine = turn;
        if (mine != null) {
          mine.moves();
          if (!pausing && resumable && !lastWritten && gate.isOver(mine, System.nanoTime())) {
            pausing = true;
            pause = true;
          }
        }
        go = !pausing && !fetched;
      }
      if (pause) {
        var _ = answer.abort(new Paused());
      } else if (go) {
        demand.run();
      } else {
        settle();
      }
    }

    @Override
    public void onComplete(Result result) {
      FairGate.Turn left;
      synchronized (BlobRelay.this) {
        fetched = true;
        left = turn;
        turn = null;
        if (result.isSucceeded()) {
          pausing = false;
        } else if (failure == null && !(result.getFailure() instanceof Paused && pausing)) {
          failure = result.getFailure();
        }
      }
      if (left != null) {
        gate.leave(left, System.nanoTime());
      }
      settle();
    }
  }

  /** What comes when neither the registry nor a write is waited for. */
  private void settle() {
    boolean again = false;
    boolean finish = false;
    Throwable broken;
    synchronized (this) {
      if (!fetched || writing || ended) {
        return;
      }
      broken = failure;
      if (broken != null) {
        ended = true;
      } else if (pausing && !lastWritten) {
        pausing = false;
        fetched = false;
        again = true;
      } else {
        ended = true;
        finish = !lastWritten;
      }
    }
    if (again) {
      gate.arrive(who(), this, ENDLESS, System.nanoTime());
    } else if (broken != null) {
      Answers.backendFailed(exchange, broken);
    } else if (finish) {
      exchange.response().write(true, BufferUtil.EMPTY_BUFFER, exchange.callback());
    } else {
      exchange.callback().succeeded();
    }
  }
}
