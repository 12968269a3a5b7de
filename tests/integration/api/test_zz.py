import time, cProfile, pstats, sys
from sqlalchemy import event
async def test_x(cluster):
    ids=[]
    for n in range(60):
        await cluster.asset(f"g{n}"); a=await cluster.queue(f"g{n}","assetLoader"); await cluster.start(a); ids.append(a)
    eng = cluster.app.state.context.engine
    seen=[]
    event.listen(eng.sync_engine,"before_cursor_execute",lambda c,cur,s,p,ctx,m: seen.append(" ".join(s.split())[:110]))
    from tests.support.callbacks import bearer
    body={"native_id":"n1","nonce":"x","result":{"details":{"box":[1,2,3,4]}}}
    async def one(a):
        r=await cluster.http.post(f"/attempts/{a}/complete",json=body,headers=bearer(a)); assert r.status_code==200
    await one(ids[0])
    for s in seen: print("SQL", s, file=sys.stderr)
    for a in ids[1:20]: await one(a)
    pr=cProfile.Profile(); t=time.process_time(); w=time.perf_counter(); pr.enable()
    for a in ids[20:]: await one(a)
    pr.disable(); print("CPU ms", (time.process_time()-t)/40*1000,"wall",(time.perf_counter()-w)/40*1000, file=sys.stderr)
    pstats.Stats(pr,stream=sys.stderr).sort_stats("tottime").print_stats(22)
    pstats.Stats(pr,stream=sys.stderr).sort_stats("cumtime").print_stats(60)
