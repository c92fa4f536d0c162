package messaging

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"time"
)

// The methods of RequestContext read the keys that oslo.context's RequestContext writes (to_dict in
// oslo_context/context.py), that services add to it, and that oslo.messaging adds on its way. A value that is
// absent, null or of another type is the zero value. All may be called on nil.

// UserID is who asks: user_id, or oslo.context's own name for it, user.
func (rc RequestContext) UserID() string { return rc.text("user_id", "user") }

// UserName is user_name.
func (rc RequestContext) UserName() string { return rc.text("user_name") }

// UserDomainID is user_domain_id, or user_domain.
func (rc RequestContext) UserDomainID() string { return rc.text("user_domain_id", "user_domain") }

// UserDomainName is user_domain_name.
func (rc RequestContext) UserDomainName() string { return rc.text("user_domain_name") }

// ProjectID is the project that the user acts for: project_id, or its older names project and tenant.
func (rc RequestContext) ProjectID() string { return rc.text("project_id", "project", "tenant") }

// ProjectName is project_name.
func (rc RequestContext) ProjectName() string { return rc.text("project_name") }

// ProjectDomainID is project_domain_id, or project_domain.
func (rc RequestContext) ProjectDomainID() string {
	return rc.text("project_domain_id", "project_domain")
}

// ProjectDomainName is project_domain_name.
func (rc RequestContext) ProjectDomainName() string { return rc.text("project_domain_name") }

// DomainID is the domain that a token is for, where it is not for a project: domain_id, or domain.
func (rc RequestContext) DomainID() string { return rc.text("domain_id", "domain") }

// DomainName is domain_name.
func (rc RequestContext) DomainName() string { return rc.text("domain_name") }

// SystemScope is "all" for a token that is for the whole deployment: system_scope.
func (rc RequestContext) SystemScope() string { return rc.text("system_scope") }

// Roles are the user's: roles. They are nil if one of them is no string.
func (rc RequestContext) Roles() []string { return rc.texts("roles") }

// IsAdmin tells whether the request has an administrator's rights: is_admin.
func (rc RequestContext) IsAdmin() bool { return rc.flag("is_admin") }

// IsAdminProject tells whether the project is the one of administrators: is_admin_project. Absent is true, as
// in oslo.context.
func (rc RequestContext) IsAdminProject() bool {
	_, known := rc["is_admin_project"]
	return !known || rc.flag("is_admin_project")
}

// ReadOnly is read_only.
func (rc RequestContext) ReadOnly() bool { return rc.flag("read_only") }

// ShowDeleted is show_deleted.
func (rc RequestContext) ShowDeleted() bool { return rc.flag("show_deleted") }

// ResourceUUID is resource_uuid.
func (rc RequestContext) ResourceUUID() string { return rc.text("resource_uuid") }

// RequestID is the id that the service which sent the request has given it: request_id, see [NewRequestID].
func (rc RequestContext) RequestID() string { return rc.text("request_id") }

// GlobalRequestID is the id that is kept from service to service: global_request_id.
func (rc RequestContext) GlobalRequestID() string { return rc.text("global_request_id") }

// AuthToken is the user's token: auth_token. It is a secret, see [RequestContext.Redacted].
func (rc RequestContext) AuthToken() string { return rc.text("auth_token") }

// ServiceToken is the token of the service that asks for the user: service_token. It is a secret.
//
// Base contexts of oslo.context do not send this and the other service_ keys; a service's own may.
func (rc RequestContext) ServiceToken() string { return rc.text("service_token") }

// ServiceUserID is service_user_id.
func (rc RequestContext) ServiceUserID() string { return rc.text("service_user_id") }

// ServiceUserName is service_user_name.
func (rc RequestContext) ServiceUserName() string { return rc.text("service_user_name") }

// ServiceUserDomainID is service_user_domain_id.
func (rc RequestContext) ServiceUserDomainID() string { return rc.text("service_user_domain_id") }

// ServiceUserDomainName is service_user_domain_name.
func (rc RequestContext) ServiceUserDomainName() string { return rc.text("service_user_domain_name") }

// ServiceProjectID is service_project_id.
func (rc RequestContext) ServiceProjectID() string { return rc.text("service_project_id") }

// ServiceProjectName is service_project_name.
func (rc RequestContext) ServiceProjectName() string { return rc.text("service_project_name") }

// ServiceProjectDomainID is service_project_domain_id.
func (rc RequestContext) ServiceProjectDomainID() string { return rc.text("service_project_domain_id") }

// ServiceProjectDomainName is service_project_domain_name.
func (rc RequestContext) ServiceProjectDomainName() string {
	return rc.text("service_project_domain_name")
}

// ServiceRoles are service_roles.
func (rc RequestContext) ServiceRoles() []string { return rc.texts("service_roles") }

// ClientTimeout is the time within which the caller wants a sign of life while the method runs (its monitor
// timeout, not the deadline of the call): client_timeout, a number of seconds that oslo.messaging puts into
// what an endpoint gets. It is 0 where the caller wants none.
func (rc RequestContext) ClientTimeout() time.Duration {
	seconds, ok := asFloat(rc["client_timeout"])
	if !ok || math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(seconds * float64(time.Second))
}

// asFloat reads a number of any serializer's.
func asFloat(v any) (float64, bool) {
	if number, ok := v.(json.Number); ok {
		f, err := number.Float64()
		return f, err == nil || math.IsInf(f, 1) // too large is large
	}
	switch n := reflect.ValueOf(v); {
	case !n.IsValid():
		return 0, false
	case n.CanInt():
		return float64(n.Int()), true
	case n.CanUint():
		return float64(n.Uint()), true
	case n.CanFloat():
		return n.Float(), true
	}
	return 0, false
}

// text returns the first of keys that is there.
func (rc RequestContext) text(keys ...string) string {
	for _, key := range keys {
		if v := rc[key]; v != nil {
			text, _ := v.(string)
			return text
		}
	}
	return ""
}

func (rc RequestContext) flag(key string) bool {
	flag, _ := rc[key].(bool)
	return flag
}

func (rc RequestContext) texts(key string) []string {
	switch list := rc[key].(type) {
	case []string:
		return list
	case []any:
		texts := make([]string, len(list))
		for i, v := range list {
			text, ok := v.(string)
			if !ok {
				return nil
			}
			texts[i] = text
		}
		return texts
	}
	return nil
}

// redacted stands where a secret was; it is oslo.context's own mark.
const redacted = "***"

// Redacted returns a copy for logs, in which every secret is "***": all that is not null under a key that has
// token, password, passwd, secret or credential in its name, also in maps and lists within. oslo.context hides
// auth_token alone in what it logs and drops auth_token_info (get_logging_values); services have more.
func (rc RequestContext) Redacted() RequestContext {
	if rc == nil {
		return nil
	}
	return redactedMap(rc)
}

func redactedMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for key, v := range m {
		switch {
		case v != nil && namesSecret(key):
			out[key] = redacted
		default:
			out[key] = redactedValue(v)
		}
	}
	return out
}

func redactedValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return redactedMap(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = redactedValue(v[i])
		}
		return list
	}
	return v
}

func namesSecret(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"token", "password", "passwd", "secret", "credential"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
