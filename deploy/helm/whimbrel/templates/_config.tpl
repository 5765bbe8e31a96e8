{{/* Configuration and credentials as variables. */}}

{{/* A value as a variable holds it: lists with commas, whole numbers without a point. */}}
{{- define "whimbrel.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end }}

{{/* The ConfigMap's content. */}}
{{- define "whimbrel.variables" -}}
WHIMBREL_LISTEN: {{ printf "%s:8080" .Values.listenHost | quote }}
WHIMBREL_OPS_LISTEN: {{ printf "%s:9090" .Values.listenHost | quote }}
{{- if .Values.contracts }}
WHIMBREL_CONTRACTS_DIR: /etc/whimbrel/contracts
{{- end }}
{{- range $key, $value := .Values.config }}
{{- if kindIs "map" $value }}
{{- range $inner, $leaf := $value }}
WHIMBREL_{{ upper $key }}__{{ upper $inner }}: {{ include "whimbrel.text" $leaf | quote }}
{{- end }}
{{- else }}
WHIMBREL_{{ upper $key }}: {{ include "whimbrel.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Changes when a pod must start anew. */}}
{{- define "whimbrel.checksum" -}}
{{- $secret := ternary "" (toYaml .Values.credentials.values) (ne .Values.credentials.existingSecret "") -}}
{{- printf "%s%s%s" (include "whimbrel.variables" .) (toYaml .Values.contracts) $secret | sha256sum -}}
{{- end }}

{{- define "whimbrel.secret" -}}
{{- default (include "whimbrel.fullname" .) .Values.credentials.existingSecret -}}
{{- end }}

{{/* One variable out of the Secret. Takes (dict root name key optional). */}}
{{- define "whimbrel.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ default (include "whimbrel.secret" .root) .secret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{/* WHIMBREL_DATABASE_URL. Takes (list $ owner?). */}}
{{- define "whimbrel.databaseUrl" -}}
{{- $root := index . 0 -}}
{{- $keys := $root.Values.credentials.keys -}}
{{- if $root.Values.postgresql.cluster.enabled }}
{{- include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_DATABASE_URL" "key" "uri" "secret" (printf "%s-app" (include "whimbrel.postgresqlCluster" $root))) }}
{{- else if and (index . 1) $root.Values.credentials.separateOwner }}
{{- include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_DATABASE_URL" "key" $keys.ownerDatabaseUrl) }}
{{- else }}
{{- include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_DATABASE_URL" "key" $keys.databaseUrl) }}
{{- end }}
{{- end }}

{{/* The broker's host as pods see it. */}}
{{- define "whimbrel.brokerHost" -}}
{{- default (printf "%s.%s.svc" (include "whimbrel.rabbitmqCluster" .) .Release.Namespace) .Values.rabbitmq.topology.host -}}
{{- end }}

{{- define "whimbrel.vhost" -}}
{{- (index (.Files.Get "files/definitions.json" | fromJson).vhosts 0).name -}}
{{- end }}

{{/* WHIMBREL_AMQP_URL of a role. Takes (list $ role). */}}
{{- define "whimbrel.amqpUrl" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $topology := $root.Values.rabbitmq.topology -}}
{{- $key := $root.Values.credentials.keys.amqpUrl -}}
{{- if $topology.enabled }}
{{- $user := printf "%s-%s-user-credentials" (include "whimbrel.fullname" $root) $role }}
{{- include "whimbrel.fromSecret" (dict "root" $root "name" "RABBITMQ_USERNAME" "key" "username" "secret" $user) }}
{{ include "whimbrel.fromSecret" (dict "root" $root "name" "RABBITMQ_PASSWORD" "key" "password" "secret" $user) }}
- name: WHIMBREL_AMQP_URL
  value: {{ printf "%s://$(RABBITMQ_USERNAME):$(RABBITMQ_PASSWORD)@%s:%v/%s?heartbeat=20" $topology.scheme (include "whimbrel.brokerHost" $root) $topology.port (include "whimbrel.vhost" $root) }}
{{- if eq $role "tracker" }}
{{- $redrive := printf "%s-redrive-user-credentials" (include "whimbrel.fullname" $root) }}
{{ include "whimbrel.fromSecret" (dict "root" $root "name" "RABBITMQ_REDRIVE_USERNAME" "key" "username" "secret" $redrive) }}
{{ include "whimbrel.fromSecret" (dict "root" $root "name" "RABBITMQ_REDRIVE_PASSWORD" "key" "password" "secret" $redrive) }}
- name: WHIMBREL_AMQP__REDRIVE_URL
  value: {{ printf "%s://$(RABBITMQ_REDRIVE_USERNAME):$(RABBITMQ_REDRIVE_PASSWORD)@%s:%v/%s?heartbeat=20" $topology.scheme (include "whimbrel.brokerHost" $root) $topology.port (include "whimbrel.vhost" $root) }}
{{- end }}
{{- else }}
{{- $key = ternary (printf "%s-%s" $key $role) $key $root.Values.credentials.amqpUrlPerRole }}
{{- include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_AMQP_URL" "key" $key) }}
{{- end }}
{{- end }}

{{/* Each process gets the credentials it uses and no other. Takes (list $ process). */}}
{{- define "whimbrel.credentials" -}}
{{- $root := index . 0 -}}
{{- $process := index . 1 -}}
{{- $keys := $root.Values.credentials.keys -}}
{{- if ne $process "topology" }}
{{ include "whimbrel.databaseUrl" (list $root (has $process (list "migrate" "prune"))) }}
{{- end }}
{{- if not (has $process (list "migrate" "prune")) }}
{{ include "whimbrel.amqpUrl" (list $root $process) }}
{{- end }}
{{- if has $process (include "whimbrel.roles" $root | splitList " ") }}
{{ include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_SECRETS__KEYS" "key" $keys.secretsKeys) }}
{{- end }}
{{- if eq $process "api" }}
{{ include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_ADMIN_KEY" "key" $keys.adminKey "optional" true) }}
{{- end }}
{{- if eq $process "sender" }}
{{ include "whimbrel.fromSecret" (dict "root" $root "name" "WHIMBREL_EGRESS__PROXY" "key" $keys.egressProxy "optional" true) }}
{{- end }}
{{- end }}

{{/* What all senders together may do, divided by the most there can be. Takes the sender's settings. */}}
{{- define "whimbrel.shares" -}}
{{- $senders := include "whimbrel.replicasMax" . | int -}}
{{- range $key, $total := .totals }}
- name: WHIMBREL_SENDER__{{ upper $key }}
  value: {{ max 1 (div (int $total) $senders) | quote }}
{{- end }}
{{- end }}

{{/* Traces. Takes (list $ process). */}}
{{- define "whimbrel.otel" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.otel.endpoint }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_SERVICE_NAME
  value: whimbrel-{{ index $ 1 }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE)
{{- end }}
{{- range $name, $value := $root.Values.otel.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* What cannot work is said before anything is installed. */}}
{{- define "whimbrel.check" -}}
{{- $credentials := .Values.credentials -}}
{{- $values := $credentials.values -}}
{{- if not $credentials.existingSecret -}}
{{- if not $values.secretsKeys -}}
{{- fail "credentials.values.secretsKeys is not set: run `whimbrel secrets generate` once and keep what it prints, or name a Secret in credentials.existingSecret" -}}
{{- end -}}
{{- if not (or $values.databaseUrl .Values.postgresql.cluster.enabled) -}}
{{- fail "no PostgreSQL: set credentials.values.databaseUrl, or credentials.existingSecret, or postgresql.cluster.enabled" -}}
{{- end -}}
{{- if not (or $values.amqpUrl $values.amqpUrls .Values.rabbitmq.topology.enabled) -}}
{{- fail "no RabbitMQ: set credentials.values.amqpUrl, or credentials.existingSecret, or rabbitmq.topology.enabled" -}}
{{- end -}}
{{- if and $credentials.amqpUrlPerRole (not .Values.rabbitmq.topology.enabled) -}}
{{- range list "api" "ingest" "sender" "tracker" "topology" -}}
{{- if not (index $values.amqpUrls .) -}}
{{- fail (printf "credentials.amqpUrlPerRole is set, but credentials.values.amqpUrls.%s is not" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $credentials.separateOwner (not $values.ownerDatabaseUrl) (not .Values.postgresql.cluster.enabled) -}}
{{- fail "credentials.separateOwner is set, but credentials.values.ownerDatabaseUrl is not" -}}
{{- end -}}
{{- end -}}
{{- $topology := .Values.rabbitmq.topology -}}
{{- if and $topology.enabled (not .Values.rabbitmq.cluster.enabled) (not (and $topology.clusterReference $topology.host)) -}}
{{- fail "rabbitmq.topology needs a broker: enable rabbitmq.cluster, or set rabbitmq.topology.clusterReference and rabbitmq.topology.host" -}}
{{- end -}}
{{- if and .Values.rabbitmq.cluster.enabled (not $topology.enabled) (not $credentials.existingSecret) (not $values.amqpUrl) (not $values.amqpUrls) -}}
{{- fail "rabbitmq.cluster alone makes no users: enable rabbitmq.topology, or give an AMQP URL in credentials" -}}
{{- end -}}
{{- end }}
