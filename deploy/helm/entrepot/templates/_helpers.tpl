{{- define "entrepot.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "entrepot.fullname" -}}
{{- $name := include "entrepot.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "entrepot.selectorLabels" -}}
app.kubernetes.io/name: {{ include "entrepot.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "entrepot.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "entrepot.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "entrepot.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "entrepot.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "entrepot.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "entrepot.scheme" -}}
{{- ternary "https" "http" (ne .Values.tls.existingSecret "") -}}
{{- end -}}

{{/* entrepot.yaml: what the chart knows, under what the operator wrote. */}}
{{- define "entrepot.config" -}}
{{- $listen := ":5000" -}}
{{- if .Values.tls.existingSecret -}}
{{- $listen = list (dict "address" ":5000" "tls" (dict "cert_file" "/etc/entrepot/tls/tls.crt" "key_file" "/etc/entrepot/tls/tls.key")) -}}
{{- end -}}
{{- $own := dict "listen" $listen "timeouts" (dict "drain_delay" "5s") -}}
{{- $cache := get .Values.config "cache" -}}
{{- if or (not (hasKey .Values.config "cache")) (kindIs "map" $cache) -}}
{{- $_ := set $own "cache" (dict "dir" "/data") -}}
{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.config)) -}}
{{- end -}}

{{/* A probe of the server: its path, and the times that the values give. */}}
{{- define "entrepot.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
  {{- if eq (include "entrepot.scheme" .root) "https" }}
  scheme: HTTPS
  {{- end }}
{{- with .times }}
{{ toYaml . }}
{{- end }}
{{- end -}}
