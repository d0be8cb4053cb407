#!/usr/bin/env bash
# What else a NodeRegistryConfig asks of nodes, on a lab where the demo is up, with pulls going on:
#   LAB=name NODES=2 e2e/demo.sh up && LAB=name e2e/torture/modes.sh [pull] [credentials] [runtime]
#   pull         verify.mode: Pull: every node pulls an image that only the mirror has; a node whose runtime cannot, or
#                gets something else, has its former files again, and no other follows
#   credentials  a private registry: logins for root alone beside those of others; a wrong login reaches no file
#   runtime      a containerd without config_path: told what to add, or set up and restarted where that is allowed; the
#                system's trust store
# A rule that is broken is a line with FAILED, and the end is not 0. RATE, WORKERS and PATIENCE: see pulls.sh.
set -euo pipefail
. "$(dirname "$0")/../cluster/lab.sh"
here=$(cd "$(dirname "$0")" && pwd)
ns=mirror-system registry=mirror agents=mirror-agents
RATE=${RATE:-4} WORKERS=${WORKERS:-2}
. "$here/pulls.sh"
[ $# -gt 0 ] || set -- pull credentials runtime
certs=/etc/containerd/certs.d hosts=/etc/containerd/certs.d/registry.opensuse.org/hosts.toml
drop_in=/etc/containers/registries.conf.d/50-mirror-operator.conf login=/run/containers/0/auth.json
failed=0
rule() { local what=$1; shift; if "$@"; then echo "  holds   $what"; else echo "  FAILED  $what"; failed=1; fi; }
not() { ! "$@"; }
all() { local n; for n in $(nodes_of_lab); do "$1" "$n" "${@:2}" || return 1; done; }
upstream() { "$here/../cluster/upstream.sh" "$1" >/dev/null; }
patch() { kubectl patch noderegistryconfig mirror --type merge -p "$1" >/dev/null; }
condition() { kubectl get noderegistryconfig mirror -o "jsonpath={.status.conditions[?(@.type=='$1')].status} {.status.conditions[?(@.type=='$1')].reason}"; }
is() { [ "$(condition "$1")" = "$2" ]; }
settled() { # every node has the newest, and the status is of it
  [ "$(kubectl get noderegistryconfig mirror -o json | jq '.metadata.generation == .status.observedGeneration and .status.nodes.updated == .status.nodes.desired')" = true ] && is Ready "True Applied"
}
agent() { kubectl -n $agents get pods -l app.kubernetes.io/name=mirror-agent --field-selector "spec.nodeName=node$1" -o "jsonpath={range .items[*]}$2{end}"; }
failing() { kubectl get noderegistryconfig mirror -o json | jq -r --arg n "node$1" '.status.failingNodes[]? | select(.name == $n) | "\(.reason): \(.message)"'; }
has() { on_node "$1" grep -qsF "$3" "$2"; }
has_not() { ! has "$@"; }
mode() { [ "$(on_node "$1" stat -c %a "$2")" = "$3" ]; }
# Every file that a runtime reads, with mode, owner and content.
files() { on_node "$1" find $certs /etc/containers -type f -printf '%m %u:%g %p ' -exec sha256sum {} \; | sort | sha256sum; }
kept() { [ "$(files "$1")" = "$2" ]; }
failures() { echo $(($(count skopeo failed) + $(count crictl failed))); }
none_failed() { [ "$(failures)" = "$before" ]; }
begin() { echo "== $1"; before=$(failures); mark; }
pull() { on_node "$1" sh -c "crictl rmi $2 >/dev/null 2>&1; crictl pull $2" >/dev/null 2>&1; }
# The runtime of a node, and not its pods, is kept from the mirror.
wall() {
  local ip port; ip=$(field '{.status.endpoint.url}' | sed -E 's,https://(.*):.*,\1,') port=$(field '{.status.endpoint.url}' | sed 's,.*:,,')
  on_node "$1" nft "add table ip modes; add chain ip modes out { type filter hook output priority -300; }; add rule ip modes out ip daddr $ip tcp dport $port reject with tcp reset"
}
# It may be open: at the end, and where a stage was not reached.
open() { on_node "$1" nft delete table ip modes 2>/dev/null || true; }
# Who waits longest has the next turn: all but this one have a younger agent.
next_is() {
  sleep 2
  kubectl -n $agents get pods -l app.kubernetes.io/name=mirror-agent -o json | jq -r --arg n "node$1" '.items[] | select(.spec.nodeName != $n) | .metadata.name' \
    | xargs kubectl -n $agents delete pod --wait >/dev/null
  kubectl -n $agents wait --for=condition=Ready pod -l app.kubernetes.io/name=mirror-agent --timeout=$((120 * patience))s >/dev/null
  # Who is not proven, or has not held what he has for the soak time, comes before all others.
  sleep 3
  until_true 240 "all nodes proven" settled
  sleep 3
}
victim=2
patch '{"spec":{"rollout":{"soak":"1s"}}}'
work=$run/torture; mkdir -p "$work"; touch "$work/failures"
until_true 240 "a configuration that is settled" settled

# --- verify.mode: Pull ----------------------------------------------------------------------------------------------
probe=registry.opensuse.org/mirror-operator/probe
pulled() { [ "$(agent "$1" '{.metadata.annotations.mirrors\.kubic\.io/pulled}')" = "$2" ]; }
holds() { on_node "$1" crictl inspecti "$2" 2>/dev/null | jq -e --arg d "$3" 'any(.status.repoDigests[]; endswith("@" + $d))' >/dev/null; }
digest_at() { in_lan skopeo inspect --raw --authfile "$work/auth.json" --cert-dir "$work/certs" "docker://$1" | sha256sum | sed 's/ .*//; s/^/sha256:/'; }
upstream_has() { in_lan curl -sf -o /dev/null --cacert "$run/pki/upstream-ca.crt" -H 'Accept: application/vnd.oci.image.manifest.v1+json' "https://registry.opensuse.org/v2/$1/manifests/$2"; }
told() { agent "$1" '{.metadata.annotations.mirrors\.kubic\.io/pull-failed}' | grep -qF "$2"; }
halted() { is Rolling "False Halted"; }
by_pull() {
  # The upstream's own CA, as an administrator would have put it there, and the upstream itself: a node that cannot reach
  # the mirror turns to it.
  upstream start
  local n; for n in $(nodes_of_lab); do on_node "$n" sh -c "cat >$certs/registry.opensuse.org/upstream.crt" <"$run/pki/upstream-ca.crt"; done
  until_true 90 "the upstream's CA in use" all has $hosts upstream.crt
  begin "every node pulls what only the mirror has"
  patch '{"spec":{"verify":{"mode":"Pull"}}}'
  until_true 240 "all nodes proven by a pull" settled
  local image digest other=1 was
  image=$probe:mirror digest=$(digest_at "$(sed 's,^https://,,' "$work/url")/$probe:mirror")
  rule "the mirror's image is the one that all nodes say they pulled ($digest)" all pulled "$digest"
  rule "and that their containerd has" all holds "$image" "$digest"
  rule "the upstream does not have it" not upstream_has mirror-operator/probe mirror
  rule "but what it mirrors" upstream_has opensuse/busybox 1.35
  rule "no probe is left" [ -z "$(kubectl -n $agents get pods -l app.kubernetes.io/name=mirror-probe -o name)" ]
  row "proven by a pull" 1
  rule "no pull failed" none_failed

  begin "node$victim's runtime cannot reach the mirror, its agent can"
  next_is $victim
  was=$(files $victim)
  wall $victim
  patch '{"spec":{"blockedRegistries":["walled.example"]}}'
  until_true 120 "the new files on node$victim" has $victim $drop_in walled.example
  until_true 180 "a pull that failed" told $victim "cannot pull the probe"
  until_true 120 "the former files of node$victim" kept $victim "$was"
  until_true 60 "the halt" halted
  sleep 15
  rule "its former files are back, byte for byte, with mode and owner" kept $victim "$was"
  rule "the rollout is halted" halted
  rule "its failure is named: $(failing $victim | cut -c1-140)" grep -q '^ProbeFailed' <(failing $victim)
  rule "no other node followed" has_not $other $drop_in walled.example
  row "a node that cannot pull" 1
  rule "no pull failed" none_failed

  begin "a later configuration, and the way is open"
  open $victim
  patch '{"spec":{"blockedRegistries":["mended.example"]}}'
  until_true 240 "the later one on all nodes" settled
  rule "all nodes have it" all has $drop_in mended.example
  rule "and none the one that failed" all has_not $drop_in walled.example
  row "a later configuration" 1
  rule "no pull failed" none_failed

  begin "node$victim's runtime gets other bytes from the upstream, under the same tag"
  # The mirror has the tag as it was; the upstream has moved it since.
  upstream_copy opensuse/nginx:1.17 home/saved:1.17
  upstream_copy kubic/flannel:0.11.0 opensuse/nginx:1.17
  next_is $victim
  was=$(files $victim)
  wall $victim
  patch '{"spec":{"verify":{"mode":"Pull","image":"registry.opensuse.org/opensuse/nginx:1.17"},"blockedRegistries":["other.example"]}}'
  until_true 240 "a pull of something else" told $victim "instead of"
  until_true 120 "the former files of node$victim" kept $victim "$was"
  rule "its former files are back" kept $victim "$was"
  rule "no other node followed" has_not $other $drop_in other.example
  open $victim
  upstream_copy home/saved:1.17 opensuse/nginx:1.17
  patch '{"spec":{"verify":null,"blockedRegistries":null}}'
  until_true 240 "back to what was" settled
  row "other bytes under a tag" 1
  rule "no pull failed" none_failed
  upstream stop
}
upstream_copy() {
  mkdir -p "$work/upstream"; cp "$run/pki/upstream-ca.crt" "$work/upstream/ca.crt"
  in_lan skopeo copy -q --all --src-cert-dir "$work/upstream" --dest-cert-dir "$work/upstream" \
    "docker://registry.opensuse.org/$1" "docker://registry.opensuse.org/$2"
}

# --- credentialsSecretRef -------------------------------------------------------------------------------------------
identity() { on_node "$1" sh -c "stat -c '%i %a %u:%g %Y' $login; cat $login"; }
same_login() { [ "$(identity "$1")" = "$(cat "$work/login$1")" ]; }
anonymous() { in_lan skopeo inspect --raw --no-creds --cert-dir "$work/certs" "docker://$(sed 's,^https://,,' "$work/url")/registry.opensuse.org/kubic/demo:1.0" >/dev/null 2>&1; }
nobody() { ! anonymous; }
logged_in() { has "$1" $hosts Authorization; }
logged_out() { has_not "$1" $hosts Authorization; }
header() { on_node "$1" sed -n 's/.*Authorization.*"Basic \(.*\)".*/\1/p' $hosts | head -n 1; }
new_header() { [ "$(header "$1")" != "$2" ]; }
without() { # a directory of hosts without the login: is it the login that lets in?
  on_node "$1" sh -c "rm -rf /tmp/nologin && cp -a $certs /tmp/nologin && sed -i '/Authorization/d' /tmp/nologin/registry.opensuse.org/hosts.toml \
    && ctr -n nologin images pull --local --hosts-dir /tmp/nologin registry.opensuse.org/kubic/pause:3.1" >/dev/null 2>&1
}
with() { on_node "$1" ctr -n nologin images pull --local --hosts-dir $certs registry.opensuse.org/kubic/pause:3.1 >/dev/null 2>&1; }
podman_pulls() { on_node "$1" sh -c "podman --storage-driver vfs --root /tmp/modes --runroot /tmp/modes-run pull -q registry.opensuse.org/kubic/pause:3.1" >/dev/null 2>&1; }
secrets_shown() { # the password and its header, wherever somebody without access to Secrets could read; grep -c ends with 1 at 0
  (umask 077; { member mirror-registry-pull password; echo; header 1; } >"$work/secrets")
  { kubectl get noderegistryconfig mirror -o yaml; kubectl -n $agents get configmaps,daemonsets,pods,events -o yaml
    for p in $(kubectl -n $agents get pods -o name); do kubectl -n $agents logs "$p" --tail=-1; done
    k logs deployment/mirror-operator --tail=-1; } 2>/dev/null | grep -cF -f "$work/secrets" || true
}
credentials() {
  begin "logins first, then the registry becomes private"
  local n
  for n in $(nodes_of_lab); do
    on_node "$n" sh -c "mkdir -p /run/containers/0 && printf '{\"auths\":  {\"other.example\": {\"auth\": \"bzpv\"}}}' >$login && chmod 640 $login && touch -d 2020-01-01 $login"
    identity "$n" >"$work/login$n"
  done
  patch "{\"spec\":{\"credentialsSecretRef\":{\"name\":\"mirror-registry-pull\",\"namespace\":\"$ns\"}}}"
  until_true 240 "logins on all nodes" all logged_in
  until_true 240 "a configuration that is settled" settled
  rule "hosts.toml is for root alone" all mode $hosts 600
  rule "auth.json is for root alone" all mode $login 600
  rule "the login of somebody else is still in it" all has $login other.example
  rule "and ours" all has $login "$(sed 's,^https://,,' "$work/url")"
  k patch mirrorregistry mirror --type merge -p '{"spec":{"auth":{"anonymousPull":false}}}' >/dev/null
  until_true 180 "a registry that lets nobody in without a login" nobody
  sleep 15
  rule "containerd pulls with the login" all with
  rule "and not without" not without_login
  rule "podman pulls with the login" all podman_pulls
  rule "no log, status, event or ConfigMap shows it" [ "$(secrets_shown)" = 0 ]
  row "a registry becomes private" 1
  rule "no pull failed" none_failed

  begin "a wrong login"
  local was1 was2; was1=$(files 1) was2=$(files 2)
  k create secret generic wrong --from-literal=username=pull --from-literal=password=wrong --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  patch '{"spec":{"credentialsSecretRef":{"name":"wrong"}}}'
  refused() { [ -n "$(failing 1)$(failing 2)" ]; }
  until_true 120 "a node that says so" refused
  until_true 60 "the halt" halted
  sleep 15
  rule "the first node says: $( (failing 1; failing 2) | head -n 1 | cut -c1-140)" grep -q '^ProbeFailed' <(failing 1; failing 2)
  rule "no node's files are other than before" eval 'kept 1 "$was1" && kept 2 "$was2"'
  patch '{"spec":{"credentialsSecretRef":{"name":"mirror-registry-pull"}}}'
  until_true 240 "the right login again" settled
  k delete secret wrong >/dev/null
  row "a wrong login" 1
  rule "no pull failed" none_failed

  begin "a new password"
  local old; old=$(header 1)
  # Two passwords at most are valid: one that is on its way out is waited for.
  k patch mirrorregistry mirror --type merge -p '{"spec":{"auth":{"passwordRotation":{"overlap":"5m"}}}}' >/dev/null
  one_password() { [ "$(member mirror-registry-passwords pull | jq length)" = 1 ]; }
  until_true 420 "one password" one_password
  k annotate mirrorregistry mirror --overwrite "mirrors.kubic.io/rotate-passwords=$(date -u +%FT%TZ)" >/dev/null
  nudge=look_again; until_true 420 "the new login on all nodes" all new_header "$old"; nudge=
  until_true 240 "a configuration that is settled" settled
  rule "no log, status, event or ConfigMap shows it" [ "$(secrets_shown)" = 0 ]
  row "a new password" 1
  rule "no pull failed" none_failed

  begin "a registry for everybody again, and no logins"
  k patch mirrorregistry mirror --type merge -p '{"spec":{"auth":{"anonymousPull":true}}}' >/dev/null
  until_true 180 "entry without a login" anonymous
  patch '{"spec":{"credentialsSecretRef":null}}'
  until_true 240 "no login on any node" all logged_out
  until_true 240 "a configuration that is settled" settled
  rule "hosts.toml may be read by all" all mode $hosts 644
  rule "auth.json is as it was, the same file with its mode, owner and time" all same_login
  row "no logins" 1
  rule "no pull failed" none_failed
}
look_again() { kubectl annotate noderegistryconfig mirror --overwrite "mirrors.kubic.io/reconcile-at=$(date +%s%N)" >/dev/null; }
without_login() { without 1 || without 2; }

# --- runtimeRestart and trust.systemStore ---------------------------------------------------------------------------
containerd_of() { on_node "$1" cat /run/lab-containerd.pid; }
restart() { # as an administrator: node.sh starts it again
  local was; was=$(containerd_of "$1")
  on_node "$1" kill "$was"
  until_true 60 "containerd of node$1" changed "$was" containerd_of "$1"
  until_true 60 "containerd of node$1" on_node "$1" ctr version
} >/dev/null
configured() { # node, whether config_path, and more lines at its beginning
  { printf '%s\n' "${@:3}"; if [ "$2" = with ]; then cat "$run/node$1/etc/config.toml"; else grep -v config_path "$run/node$1/etc/config.toml"; fi; } \
    | on_node "$1" sh -c 'cat >/etc/containerd/config.toml'
}
# The node's PID 1 restarts services for who asks it through a pipe, as systemd does through its socket.
service() {
  on_node "$1" sh -c 'mkdir -p /run/systemd/system && rm -f /run/lab-asks /run/lab-refuses && mkfifo /run/lab-asks && : >/run/lab-asked
    ln -sf "$(command -v containerd)" /usr/local/sbin/containerd
    cat >/usr/local/sbin/systemctl && chmod 755 /usr/local/sbin/systemctl' <<'END'
#!/bin/sh
echo "$*" >>/run/lab-asked
case $1 in
  restart) echo "$2" >/run/lab-asks; sleep 3; [ ! -e /run/lab-refuses ] || { rm /run/lab-refuses; echo "Job for containerd.service failed"; exit 1; } ;;
  is-active) [ -S /run/containerd/containerd.sock ] && echo active ;;
esac
END
  on_node "$1" sh -c 'exec <>/run/lab-asks; while read -r name; do [ "$name" != end ] || exit 0; kill "$(cat /run/lab-$name.pid)"; done' &
  pids+=($!)
}
no_service() {
  on_node "$1" sh -c '[ ! -p /run/lab-asks ] || timeout 2 sh -c "echo end >/run/lab-asks"; rm -rf /run/systemd /run/lab-asks /run/lab-asked /usr/local/sbin/systemctl /usr/local/sbin/containerd'
}
# How often; grep -c ends with 1 at 0, and the rule compares the number.
asked() { on_node "$1" grep -c "^restart containerd" /run/lab-asked || true; }
asked_is() { [ "$(asked "$1")" = "$2" ]; }
containers() { on_node "$1" crictl ps -o json 2>/dev/null | jq -r '.containers[] | select(.metadata.name != "agent") | .id' | sort; }
still() { [ -z "$(comm -23 <(printf '%s\n' "$2") <(containers "$1"))" ]; }
bundle_has() { # whether the system's bundle has the mirror's CA
  on_node "$1" cat /etc/ssl/certs/ca-certificates.crt | tr -d '\n' | grep -qF "$(sed '/-----/d' "$work/certs/ca.crt" | tr -d '\n' | cut -c1-200)"
}
lacks() { ! bundle_has "$1"; }
system_curl() { on_node "$1" curl -s -o /dev/null --max-time 5 "$(cat "$work/url")/v2/"; }
runtime() {
  # Nobody promises a pull of a node whose containerd reads nothing of ours, or is being restarted.
  pulls_end
  begin "a containerd without config_path"
  local n containers_before was
  configured $victim without; restart $victim
  required() { failing $victim | grep -qF RuntimeConfigRequired; }
  until_true 120 "RuntimeConfigRequired" required
  rule "it is said, with the lines to add: $(failing $victim | cut -c1-200)" grep -qF 'config_path = "/etc/containerd/certs.d"' <(failing $victim)
  waits() { [ "$(condition RestartRequired | cut -d' ' -f1)" = True ]; }
  until_true 60 "RestartRequired" waits
  rule "the condition RestartRequired holds" waits
  rule "and its config.toml is as the administrator left it" on_node $victim sh -c '! grep -q "Managed by" /etc/containerd/config.toml'
  row "RuntimeConfigRequired" 1

  begin "runtimeRestart: IfRequired, where the configuration imports nothing"
  service $victim
  was=$(containerd_of $victim)
  patch '{"spec":{"runtimeRestart":"IfRequired"}}'
  whole() { agent $victim '{.spec.volumes[*].hostPath.path} {.status.phase}' | grep -q '^/ Running'; }
  until_true 240 "an agent with the whole host on node$victim" whole
  until_true 60 "RuntimeConfigRequired again" required
  sleep 15
  rule "it is told, and nothing is restarted" eval '[ "$(containerd_of $victim)" = "$was" ] && asked_is $victim 0'
  row "nothing to import" 1

  begin "a configuration that imports a directory, and a containerd that does not start with our file"
  on_node $victim touch /run/lab-refuses
  on_node $victim mkdir -p /etc/containerd/conf.d
  configured $victim without 'imports = ["/etc/containerd/conf.d/*.toml"]'; restart $victim
  failed_once() { failing $victim | grep -qF 'does not restart'; }
  until_true 120 "a restart that failed" failed_once
  sleep 45
  rule "our file is taken back" on_node $victim sh -c '! test -e /etc/containerd/conf.d/50-mirror-operator.toml'
  rule "containerd was started again as it was, and not tried again" asked_is $victim 2
  rule "it runs" on_node $victim ctr version >/dev/null
  rule "the node says: $(failing $victim | cut -c1-160)" required
  row "a restart that fails" 1

  begin "the same, and it starts; and the system's store"
  containers_before=$(containers $victim)
  rule "no node's system store has the CA yet" all lacks
  patch '{"spec":{"trust":{"systemStore":true}}}'
  until_true 300 "all nodes applied" settled
  rule "our file is there" on_node $victim test -e /etc/containerd/conf.d/50-mirror-operator.toml
  rule "it was restarted once" asked_is $victim 3
  rule "containers went on" still $victim "$containers_before"
  rule "pulls come from the mirror" pull $victim registry.opensuse.org/kubic/demo:1.0
  rule "every node's bundle has the CA" all bundle_has
  rule "programs of the node trust it" all system_curl
  sleep 40
  rule "and it is not restarted again" asked_is $victim 3
  row "set up and restarted" 1

  begin "back to what was"
  configured $victim with; on_node $victim rm -rf /etc/containerd/conf.d; restart $victim
  patch '{"spec":{"trust":{"systemStore":false},"runtimeRestart":"Never"}}'
  until_true 300 "all nodes applied" settled
  rule "no node's bundle has the CA" all lacks
  small() { ! agent "$1" '{.spec.volumes[*].hostPath.path}' | grep -qx /; }
  until_true 240 "agents without the whole host" all small
  until_true 240 "a configuration that is settled" settled
  rule "no agent has the whole host any more" all small
  no_service $victim
  row "back" 1
}

# The upstream is gone, so that a pull proves the mirror; where a stage needs it, it starts it.
upstream stop
pulls_begin
# At the end all of it is tried, whatever of it is not there.
trap 'open $victim; no_service $victim || true; touch "$work/stop"; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
sleep 5
for stage in "$@"; do
  case $stage in pull) by_pull ;; credentials) credentials ;; runtime) last=runtime ;; *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
done
if [ -n "${last:-}" ]; then runtime; else pulls_end; fi
exit $failed
