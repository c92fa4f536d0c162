package messaging

import (
	"strings"

	"github.com/goslo/goslo/internal/wire"
)

// Identity is who asks, and what for, to make a [RequestContext] of. An empty field is null.
type Identity struct {
	UserID, UserName, UserDomainID, UserDomainName             string
	ProjectID, ProjectName, ProjectDomainID, ProjectDomainName string
	// DomainID and DomainName are for what is done to a domain as a whole.
	DomainID, DomainName string
	// SystemScope is "all" for what is done to the whole deployment.
	SystemScope string
	Roles       []string
	IsAdmin     bool
	AuthToken   string
	// RequestID is a [NewRequestID] if it is empty.
	RequestID string
	// GlobalRequestID is that of the request on whose behalf this one is sent.
	GlobalRequestID string
}

// RequestContext makes the map that oslo.context's to_dict makes, which from_dict reads. The ids of user and
// domains stand in it under both of their names: from_dict reads the older one, nova and cinder the newer.
// More keys may be set afterwards:
//
//	rc := messaging.Identity{UserID: user, ProjectID: project, Roles: []string{"member"}}.RequestContext()
//	rc["read_only"] = true
func (id Identity) RequestContext() RequestContext {
	requestID := id.RequestID
	if requestID == "" {
		requestID = NewRequestID()
	}
	roles := id.Roles
	if roles == nil {
		roles = []string{}
	}
	rc := RequestContext{
		"roles": roles, "is_admin": id.IsAdmin, "is_admin_project": true, "read_only": false, "show_deleted": false,
		"resource_uuid": nil, "request_id": requestID, "user_identity": id.summary(),
	}
	for _, entry := range []struct {
		text string
		keys []string
	}{
		{id.UserID, []string{"user", "user_id"}},
		{id.UserName, []string{"user_name"}},
		{id.UserDomainID, []string{"user_domain", "user_domain_id"}},
		{id.UserDomainName, []string{"user_domain_name"}},
		{id.ProjectID, []string{"project", "project_id"}},
		{id.ProjectName, []string{"project_name"}},
		{id.ProjectDomainID, []string{"project_domain", "project_domain_id"}},
		{id.ProjectDomainName, []string{"project_domain_name"}},
		{id.DomainID, []string{"domain", "domain_id"}},
		{id.DomainName, []string{"domain_name"}},
		{id.SystemScope, []string{"system_scope"}},
		{id.AuthToken, []string{"auth_token"}},
		{id.GlobalRequestID, []string{"global_request_id"}},
	} {
		for _, key := range entry.keys {
			rc[key] = textOrNull(entry.text)
		}
	}
	return rc
}

// summary is one line for logs, in the order of oslo.context's user_idt_format.
func (id Identity) summary() string {
	parts := []string{id.UserID, id.ProjectID, id.DomainID, id.UserDomainID, id.ProjectDomainID}
	for i, part := range parts {
		if part == "" {
			parts[i] = "-"
		}
	}
	return strings.Join(parts, " ")
}

func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// NewRequestID returns a fresh id of the form that OpenStack's services give requests: req- and a UUID.
func NewRequestID() string {
	id := wire.NewID()
	return "req-" + id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}
