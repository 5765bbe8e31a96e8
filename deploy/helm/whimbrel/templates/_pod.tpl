{{/*
The pod of a process. Takes (dict root process args settings), where settings has resources and, for roles, where to run.
*/}}
{{- define "whimbrel.pod" -}}
{{- $root := .root -}}
{{- $process := .process -}}
{{- $settings := .settings -}}
{{- $isRole := has $process (include "whimbrel.roles" $root | splitList " ") -}}
serviceAccountName: {{ include "whimbrel.serviceAccount" $root }}
automountServiceAccountToken: false
# Otherwise each Service of the namespace becomes variables, and a Service named whimbrel becomes WHIMBREL_PORT.
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- if $isRole }}
terminationGracePeriodSeconds: {{ include "whimbrel.gracePeriod" (list $root $process $settings) }}
{{- else }}
restartPolicy: OnFailure
{{- end }}
{{- with $settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
containers:
  - name: whimbrel
    image: {{ include "whimbrel.image" $root }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args:
      {{- toYaml .args | nindent 6 }}
    envFrom:
      - configMapRef:
          name: {{ include "whimbrel.fullname" $root }}
    env:
      {{- include "whimbrel.credentials" (list $root $process) | trim | nindent 6 }}
      {{- if $settings.totals }}
      {{- include "whimbrel.shares" $settings | trim | nindent 6 }}
      {{- end }}
      {{- with include "whimbrel.otel" (list $root $process) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with $settings.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if $isRole }}
    ports:
      {{- if eq $process "api" }}
      - name: http
        containerPort: 8080
      {{- end }}
      - name: ops
        containerPort: 9090
    # A process that waits for the database or the broker is alive but not ready.
    startupProbe:
      httpGet:
        path: /livez
        port: ops
      periodSeconds: 2
      failureThreshold: 60
    livenessProbe:
      httpGet:
        path: /livez
        port: ops
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 6
    # Its checks take two seconds at most.
    readinessProbe:
      httpGet:
        path: /readyz
        port: ops
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 3
    {{- if eq $process "api" }}
    lifecycle:
      preStop:
        # Until the endpoint is gone from load balancers.
        sleep:
          seconds: 5
    {{- end }}
    {{- end }}
    resources:
      {{- toYaml $settings.resources | nindent 6 }}
    securityContext:
      {{- toYaml $root.Values.containerSecurityContext | nindent 6 }}
    {{- with $root.Values.contracts }}
    volumeMounts:
      # File by file: mounted as a folder, a ConfigMap shows each file several times.
      {{- range $path, $_ := . }}
      - name: contracts
        mountPath: /etc/whimbrel/contracts/{{ $path }}
        subPath: {{ $path | replace "/" "__" }}
        readOnly: true
      {{- end }}
    {{- end }}
{{- if $root.Values.contracts }}
volumes:
  - name: contracts
    configMap:
      name: {{ include "whimbrel.fullname" $root }}-contracts
{{- end }}
{{- if $isRole }}
topologySpreadConstraints:
  {{- if kindIs "invalid" $settings.topologySpreadConstraints }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "whimbrel.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $process }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- else }}
  {{- toYaml $settings.topologySpreadConstraints | nindent 2 }}
  {{- end }}
{{- end }}
{{- range $field := list "nodeSelector" "affinity" "tolerations" }}
{{- with index $settings $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Longer than POSTs may go on, plus the connections' end. Takes (list $ role settings). */}}
{{- define "whimbrel.gracePeriod" -}}
{{- $root := index . 0 -}}
{{- $wanted := (index . 2).terminationGracePeriodSeconds | int -}}
{{- if eq (index . 1) "sender" -}}
{{- $grace := dig "sender" "grace" "25s" $root.Values.config -}}
{{- $unit := ternary 60 1 (hasSuffix "m" $grace) -}}
{{- $wanted = max $wanted (add 15 (mul $unit (regexFind "^[0-9]+" $grace | int))) -}}
{{- end -}}
{{- $wanted -}}
{{- end }}
