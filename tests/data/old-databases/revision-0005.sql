BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE clients (
	client_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	token_lifetime_s INTEGER, 
	created_at TEXT NOT NULL, 
	suspended BOOLEAN NOT NULL, 
	tokens_valid_from TEXT, 
	CONSTRAINT pk_clients PRIMARY KEY (client_id)
);
INSERT INTO "clients" VALUES('operator','BL','read_all read_bl write_events write_programs write_subscriptions write_vens','$argon2id$v=19$m=19456,t=2,p=1$oymn7myWXv7BJ7y286NZow$rbgn4BCuEBugZzkzeulg2edMWzcFJAX0OvaOFF7Y8pQ',NULL,'2026-11-29T20:11:54.850991Z',0,NULL);
INSERT INTO "clients" VALUES('home','VEN','read_targets read_ven_objects write_reports write_subscriptions write_vens','$argon2id$v=19$m=19456,t=2,p=1$x4S8L4A60+xyLBOpOYBbRw$l8pCp4Gpgi7j3gna7FmHJ90xL6IrveRZvJ0mAhAqzoo',NULL,'2026-11-29T20:12:26.992949Z',0,NULL);
CREATE TABLE event_targets (target TEXT NOT NULL, event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE, PRIMARY KEY (target, event_id)) WITHOUT ROWID;
INSERT INTO "event_targets" VALUES('north','aba747bb-d520-41e4-90ae-f371a185b713');
CREATE TABLE events (
	id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	modified_at TEXT NOT NULL, 
	program_id TEXT NOT NULL, 
	targets TEXT NOT NULL, 
	targets_inside BOOLEAN NOT NULL, 
	ends_at TEXT, 
	members TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id), 
	CONSTRAINT fk_events_program_id FOREIGN KEY(program_id) REFERENCES programs (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES('aba747bb-d520-41e4-90ae-f371a185b713','2026-11-29T20:13:31.404749Z','2026-11-29T20:13:31.404749Z','9272d9bd-070c-4b47-82ad-d390e9a974ab','["north"]',0,'2026-01-15T19:00:00.000000Z','"programID":"9272d9bd-070c-4b47-82ad-d390e9a974ab","eventName":"evening peak","payloadDescriptors":[{"payloadType":"DISPATCH_SETPOINT_RELATIVE","units":"KW"}],"intervalPeriod":{"start":"2026-01-15T17:00:00Z","duration":"PT1H"},"intervals":[{"id":0,"payloads":[{"type":"DISPATCH_SETPOINT_RELATIVE","values":[-2]}]},{"id":1,"payloads":[{"type":"DISPATCH_SETPOINT_RELATIVE","values":[-1.5]}]}]');
INSERT INTO "events" VALUES('106d57ea-db87-492f-8968-3448fd256ab9','2026-11-29T20:13:31.409400Z','2026-11-29T20:13:31.409400Z','9272d9bd-070c-4b47-82ad-d390e9a974ab','[]',0,'2026-01-17T00:00:00.000000Z','"programID":"9272d9bd-070c-4b47-82ad-d390e9a974ab","eventName":"prices","intervalPeriod":{"start":"2026-01-16T00:00:00Z","duration":"P1D"},"intervals":[{"id":0,"payloads":[{"type":"PRICE","values":[0.31,0.28]}]}]');
CREATE TABLE programs (
	id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	modified_at TEXT NOT NULL, 
	name TEXT NOT NULL, 
	targets TEXT NOT NULL, 
	members TEXT NOT NULL, 
	CONSTRAINT pk_programs PRIMARY KEY (id), 
	CONSTRAINT uq_programs_name UNIQUE (name)
);
INSERT INTO "programs" VALUES('9272d9bd-070c-4b47-82ad-d390e9a974ab','2026-11-29T20:13:31.386505Z','2026-11-29T20:13:31.386505Z','peaks','["north"]','"programName":"peaks","programDescriptions":[{"URL":"https://utility.example/peaks"}]');
CREATE TABLE removed_clients (
	client_id TEXT NOT NULL, 
	removed_at TEXT NOT NULL, 
	CONSTRAINT pk_removed_clients PRIMARY KEY (client_id)
);
CREATE TABLE reports (
	id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	modified_at TEXT NOT NULL, 
	event_id TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	client_name TEXT NOT NULL, 
	members TEXT NOT NULL, 
	CONSTRAINT pk_reports PRIMARY KEY (id), 
	CONSTRAINT fk_reports_event_id FOREIGN KEY(event_id) REFERENCES events (id) ON DELETE CASCADE
);
INSERT INTO "reports" VALUES('a8fd8853-0076-42a0-8629-ae4642094b03','2026-11-29T20:13:31.471667Z','2026-11-29T20:13:31.471667Z','aba747bb-d520-41e4-90ae-f371a185b713','home','home','"clientID":"home","eventID":"aba747bb-d520-41e4-90ae-f371a185b713","clientName":"home","reportName":"meter","payloadDescriptors":[{"payloadType":"USAGE","units":"KWH"}],"resources":[{"resourceName":"AGGREGATED_REPORT","intervalPeriod":{"start":"2026-01-15T17:00:00Z","duration":"PT15M"},"intervals":[{"id":0,"payloads":[{"type":"USAGE","values":[0.5]}]},{"id":1,"payloads":[{"type":"USAGE","values":[0.75]}]},{"id":2,"payloads":[{"type":"USAGE","values":[1.0]}]},{"id":3,"payloads":[{"type":"USAGE","values":[1.25]}]}]}]');
CREATE TABLE resources (
	id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	modified_at TEXT NOT NULL, 
	ven_id TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	targets TEXT NOT NULL, 
	members TEXT NOT NULL, 
	CONSTRAINT pk_resources PRIMARY KEY (id), 
	CONSTRAINT fk_resources_ven_id FOREIGN KEY(ven_id) REFERENCES vens (id) ON DELETE CASCADE, 
	CONSTRAINT uq_resources_ven_id_name UNIQUE (ven_id, name)
);
INSERT INTO "resources" VALUES('e9d2f390-3d1e-41a9-964e-9f22d0248ce3','2026-11-29T20:13:31.400762Z','2026-11-29T20:13:31.400762Z','627918e3-fa7e-4977-a80e-c6530f777179','home','boiler','[]','"clientID":"home","venID":"627918e3-fa7e-4977-a80e-c6530f777179","resourceName":"boiler","attributes":[{"type":"MAX_POWER_CONSUMPTION","values":[2.5]}]');
CREATE TABLE signing_keys (
	kid TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	CONSTRAINT pk_signing_keys PRIMARY KEY (kid)
);
INSERT INTO "signing_keys" VALUES('e15767e5b44c1a9b','252668e99d636cd45f9e09b94676fedb4c08825267d386c827f07ba210250bce','2026-11-29T20:13:26.899091Z');
CREATE TABLE subscriptions (
	id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	modified_at TEXT NOT NULL, 
	program_id TEXT, 
	client_id TEXT NOT NULL, 
	client_name TEXT NOT NULL, 
	objects TEXT NOT NULL, 
	targets TEXT NOT NULL, 
	has_tokens BOOLEAN NOT NULL, 
	members TEXT NOT NULL, 
	CONSTRAINT pk_subscriptions PRIMARY KEY (id), 
	CONSTRAINT fk_subscriptions_program_id FOREIGN KEY(program_id) REFERENCES programs (id) ON DELETE CASCADE
);
INSERT INTO "subscriptions" VALUES('fe392513-d3bf-43a6-b998-e0ba860c866a','2026-11-29T20:13:31.500008Z','2026-11-29T20:13:31.500008Z','9272d9bd-070c-4b47-82ad-d390e9a974ab','home','home','[]','[]',0,'"clientID":"home","clientName":"home","programID":"9272d9bd-070c-4b47-82ad-d390e9a974ab","objectOperations":[]');
CREATE TABLE vens (
	id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	modified_at TEXT NOT NULL, 
	client_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	targets TEXT NOT NULL, 
	members TEXT NOT NULL, 
	CONSTRAINT pk_vens PRIMARY KEY (id), 
	CONSTRAINT uq_vens_client_id UNIQUE (client_id), 
	CONSTRAINT uq_vens_name UNIQUE (name)
);
INSERT INTO "vens" VALUES('627918e3-fa7e-4977-a80e-c6530f777179','2026-11-29T20:13:31.392804Z','2026-11-29T20:13:31.392804Z','home','house 1','["north"]','"clientID":"home","venName":"house 1","attributes":[{"type":"MAX_POWER_CONSUMPTION","values":[11]}]');
CREATE INDEX ix_programs_created_at_id ON programs (created_at, id);
CREATE INDEX ix_events_created_at_id ON events (created_at, id);
CREATE INDEX ix_events_program_id_created_at_id ON events (program_id, created_at, id);
CREATE INDEX ix_events_ends_at ON events (ends_at);
CREATE INDEX ix_reports_created_at_id ON reports (created_at, id);
CREATE INDEX ix_reports_event_id_created_at_id ON reports (event_id, created_at, id);
CREATE INDEX ix_reports_client_id_created_at_id ON reports (client_id, created_at, id);
CREATE INDEX ix_reports_client_name_created_at_id ON reports (client_name, created_at, id);
CREATE INDEX ix_vens_created_at_id ON vens (created_at, id);
CREATE INDEX ix_resources_created_at_id ON resources (created_at, id);
CREATE INDEX ix_resources_client_id_created_at_id ON resources (client_id, created_at, id);
CREATE INDEX ix_resources_name ON resources (name);
CREATE INDEX ix_subscriptions_created_at_id ON subscriptions (created_at, id);
CREATE INDEX ix_subscriptions_program_id_created_at_id ON subscriptions (program_id, created_at, id);
CREATE INDEX ix_subscriptions_client_id_created_at_id ON subscriptions (client_id, created_at, id);
CREATE INDEX ix_event_targets_event_id ON event_targets (event_id);
CREATE INDEX ix_events_targets ON events (targets);
CREATE TRIGGER event_targets_added AFTER INSERT ON events BEGIN INSERT INTO event_targets SELECT DISTINCT value, new.id FROM json_each(new.targets); END;
CREATE TRIGGER event_targets_changed AFTER UPDATE OF targets ON events WHEN old.targets <> new.targets BEGIN DELETE FROM event_targets WHERE event_id = old.id; INSERT INTO event_targets SELECT DISTINCT value, new.id FROM json_each(new.targets); END;
COMMIT;
