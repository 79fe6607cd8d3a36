-- What jobs are claimed by, fairly between accounts. See 0001 for what the moments mean.

alter table jobs add column account text not null default ''; -- its lane_id's
update jobs set account = (select l.account from job_lanes l where l.id = jobs.lane_id);
alter table jobs add column claimed_at integer; -- when a worker took it last; none = never
create index jobs_of_account on jobs (state, shop, account, due_at);
create index jobs_claimed on jobs (shop, account, claimed_at) where claimed_at is not null;
